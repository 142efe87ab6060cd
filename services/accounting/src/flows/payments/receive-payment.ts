import { createHash } from 'node:crypto';
import type { accounting } from '@tollgate/contracts';
import { AppError, parseJson } from '@tollgate/http-kit';
import { standardFact, stripeFact } from '../../domain/payments/payment-facts.ts';
import { isStale, type SignedEvent, standardVerdict, stripeVerdict } from '../../domain/payments/signatures.ts';
import type { Ports, ReceivedPayment } from '../../ports.ts';

type Provider = accounting.PaymentProvider;
type Deps = Pick<Ports, 'payments' | 'providers' | 'chores' | 'rules' | 'events'>;
type Accepted = Readonly<{ outcome: 'applied' | 'ignored' | 'waiting'; repeated: boolean }>;

const PROTOCOLS = {
  stripe: { verdict: stripeVerdict, fact: stripeFact },
  standard: {
    verdict: standardVerdict,
    fact: (event: unknown, { headers }: SignedEvent) => standardFact(event, headers['webhook-id'] ?? ''),
  },
} as const;
const MS_PER_SECOND = 1000;

/**
 * Takes in what a payment provider says. Only what it signed a moment ago is read at all; what it says is then held against our
 * order, and each event counts once however often and in whatever order it comes.
 */
export const createReceivePayment = (deps: Deps) =>
  async function receivePayment(provider: Provider, event: SignedEvent, requestId: string): Promise<Accepted> {
    const { payments, rules, events } = deps;
    await requireSigned(deps, provider, event);
    const said = PROTOCOLS[provider].fact(parseJson(event.body), event);
    if (!said) throw new AppError('MALFORMED_JSON', 'This is no event of the provider');
    const bodyHash = createHash('sha256').update(event.body).digest('hex');
    const received = await payments.receive({ ...said, provider, bodyHash, policy: rules.overrunPolicy, requestId });
    tell(events, provider, received);
    const { outcome, isRepetition: repeated } = received;
    if (outcome === 'applied' || outcome === 'ignored' || outcome === 'waiting') return { outcome, repeated };
    throw new AppError('PAYMENT_MISMATCH', `The payment does not fit the order (${outcome.slice('refused:'.length)})`);
  };

/** The database is asked for the time only about what was signed: a flood of forgeries does not reach it. */
async function requireSigned(
  { providers, chores, events }: Deps,
  provider: Provider,
  event: SignedEvent,
): Promise<void> {
  const secrets = providers.get(provider);
  if (!secrets) throw new AppError('NOT_FOUND');
  const verdict = PROTOCOLS[provider].verdict(event, secrets);
  const reason = typeof verdict === 'string' ? verdict : 'stale';
  if (typeof verdict === 'object') {
    const now = await chores.now();
    if (!isStale(verdict.signedAt, Math.floor(now.getTime() / MS_PER_SECOND))) return;
  }
  events.paymentRefused({ provider, reason, orderId: null });
  throw new AppError('INVALID_SIGNATURE');
}

function tell(events: Ports['events'], provider: Provider, received: ReceivedPayment): void {
  const { outcome, isRepetition, orderId, userId, state, granted, takenBack, shortfall } = received;
  if (isRepetition) return;
  if (outcome.startsWith('refused:')) events.paymentRefused({ provider, reason: 'mismatch', orderId });
  if (outcome === 'applied' && orderId !== null && userId !== null && state !== null)
    events.paymentApplied({ provider, state, orderId, userId, granted, takenBack, shortfall });
}
