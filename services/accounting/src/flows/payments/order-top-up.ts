import type { accounting } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { claimsOf, type Person } from '../../domain/callers.ts';
import { TOPUP_CURRENCY, topUpCents } from '../../domain/payments/top-up-price.ts';
import type { Page, Ports, TopUpBody } from '../../ports.ts';
import type { Answered, OneTime, Once } from '../once.ts';

type Ask = Readonly<{ credits: number; provider?: accounting.PaymentProvider | undefined }>;
type Deps = Pick<Ports, 'providers' | 'topUpRules'> & { once: Once };

/** Notes what a user wants to buy and what it costs. Nothing is granted before the provider says that it was paid. */
export const createOrderTopUp = ({ providers, topUpRules, once }: Deps) =>
  async function orderTopUp(caller: Person, request: OneTime, ask: Ask): Promise<Answered<TopUpBody>> {
    const [first] = providers.keys();
    const provider = ask.provider ?? first;
    if (provider === undefined || !providers.has(provider))
      throw new AppError('NOT_FOUND', 'This payment provider is not set up');
    const { fewestCredits, mostCredits } = topUpRules;
    if (ask.credits < fewestCredits || ask.credits > mostCredits)
      throw new AppError(
        'INVALID_AMOUNT',
        `Between ${fewestCredits} and ${mostCredits} credits can be bought at a time`,
      );
    const amount = topUpCents(ask.credits, topUpRules);
    const order = { claims: claimsOf(caller), provider, credits: ask.credits, amount, currency: TOPUP_CURRENCY };
    return once(request, (tx) => tx.orderTopUp(order));
  };

export const createListTopUps = ({ payments }: Pick<Ports, 'payments'>) =>
  function listTopUps(caller: Person, page: Page) {
    return payments.list(caller.userId, page);
  };

export const createReadTopUp = ({ payments }: Pick<Ports, 'payments'>) =>
  async function readTopUp(caller: Person, orderId: string): Promise<TopUpBody> {
    const order = await payments.find(caller.userId, orderId);
    if (!order) throw new AppError('NOT_FOUND');
    return order;
  };
