import { hash } from 'node:crypto';
import { accounting as operations, type ClientInput } from '@tollgate/contracts';
import { AppError, requestContext, unavailable } from '@tollgate/http-kit';
import { type Client, type Connections, createClient, mayHaveBeenApplied } from '@tollgate/http-kit/client';
import type { ClosedHold, Hold, HoldId, UserId } from '../domain/wire-types.ts';
import type { Accounting, Asker, Clock, Ending, HoldRequest, Renewal } from '../ports.ts';
import { createBatchedCalls } from './batched-calls.ts';
import { type CircuitBreaker, createCircuitBreaker } from './circuit-breaker.ts';

export interface AccountingOptions {
  readonly baseUrl: string;
  /** Milliseconds for one call, its repetition included. */
  readonly timeoutMs: number;
  /** For new answers and balances. */
  readonly connections: number;
  /** For answers that run or have ended: what they need must not wait behind new ones. */
  readonly closingConnections: number;
  /** Failures in a row after which new answers are refused at once. */
  readonly breakAfter: number;
  /** Milliseconds until one of them may try again. */
  readonly breakMs: number;
  readonly clock: Clock;
  /** A service token for accounting. */
  readonly token: () => Promise<string>;
}

export interface AccountingClient extends Accounting {
  readonly breaker: Pick<CircuitBreaker, 'state'>;
  /** For new answers, and for those that run or have ended. */
  connections(): { readonly opening: Connections; readonly running: Connections };
  close(): Promise<void>;
}

const RETRY_AFTER_SECONDS = 2;
const MS_PER_SECOND = 1000;
const UNAVAILABLE = 'ACCOUNTING_UNAVAILABLE';
/** Bytes of an ending that goes with others; what an upstream reports may be long. */
const LONGEST_TOGETHER = 8192;
/** An answer waits for its hold, and for no hold of another one while there is little to do. */
const FEW_HOLDS = 2;
const { holdCredits, holdCreditsBatch, readTotalBalance } = operations;
const { extendHold, readHold, renewHolds, settleHold, voidHold, closeHoldsBatch } = operations;
const OPENING = { holdCredits, holdCreditsBatch, readTotalBalance };
const RUNNING = { extendHold, readHold, renewHolds, settleHold, voidHold, closeHoldsBatch };

/** Accounting, called with this service's own token and the name of the user it acts for. */
export function accountingClient(options: AccountingOptions): AccountingClient {
  const { baseUrl, timeoutMs, connections, closingConnections, token, clock } = options;
  const common = { baseUrl, timeoutMs, token, onUnavailable: UNAVAILABLE } as const;
  const opening = createClient(OPENING, { ...common, connections });
  const running = createClient(RUNNING, { ...common, connections: closingConnections });
  const unasked = new WeakSet<Error>();
  const unlessAway = createCircuitBreaker({
    clock,
    failures: options.breakAfter,
    pauseMs: options.breakMs,
    judge: (error) => (error instanceof AppError && error.code === UNAVAILABLE ? 'away' : 'answered'),
    refusal: (waitMs) => {
      const refused = unavailable(UNAVAILABLE, Math.max(1, Math.ceil(waitMs / MS_PER_SECOND)));
      unasked.add(refused);
      return refused;
    },
  });

  const { hold, end } = createHolding({ opening, running }, options, (error) => void unasked.add(error));

  return {
    hold: (asker, request) => orUnavailable(unlessAway.run(() => hold(asker, request))),

    mayHaveHeld: (error) => !(error instanceof Error && unasked.has(error)) && mayHaveBeenApplied(error),

    extend: (userId, { holdId, fence }, more) =>
      orUnavailable(
        running.extendHold(
          { params: { holdId }, body: { fence, ...more } },
          { idempotencyKey: keyOf(`extend:${holdId}`, JSON.stringify(more)), onBehalfOf: userId },
        ),
      ),

    read: (holdId, userId) => orUnavailable(running.readHold({ params: { holdId } }, { onBehalfOf: userId })),

    async renew(renewals) {
      const { holds } = await orUnavailable(running.renewHolds({ body: { holds: renewals.map(renewalBody) } }));
      return holds.flatMap(({ holdId, outcome, reason }) =>
        outcome === 'renewed' ? [] : [{ holdId, outcome, reason }],
      );
    },

    end,

    bury: (holdId, userId) =>
      orUnavailable(
        running.voidHold(
          { params: { holdId }, body: { reason: 'the proxy stopped before its hold was known', unlessActive: true } },
          { idempotencyKey: `bury:${holdId}`, onBehalfOf: userId },
        ),
      ),

    balance: async ({ token: userToken }) =>
      (await orUnavailable(opening.readTotalBalance(undefined, { token: userToken }))).totalCredits,

    breaker: unlessAway,
    connections: () => ({ opening: opening.connections(), running: running.connections() }),
    close: async () => void (await Promise.all([opening.close(), running.close()])),
  };
}

interface Calls {
  readonly opening: Client<typeof OPENING>;
  readonly running: Client<typeof RUNNING>;
}

/** What every answer asks for at its beginning and at its end, together with others that do so now. */
function createHolding(
  { opening, running }: Calls,
  { timeoutMs, clock }: AccountingOptions,
  hadNoEffect: (error: Error) => void,
) {
  const together = { timeoutMs, clock, onUnavailable: UNAVAILABLE, hadNoEffect } as const;
  const holds = createBatchedCalls<HoldItem, Hold>({
    ...together,
    operation: holdCredits,
    send: (items, call) => opening.holdCreditsBatch({ body: { items } }, call),
    urgentWhileFew: FEW_HOLDS,
  });
  const ends = createBatchedCalls<EndItem, ClosedHold>({
    ...together,
    operation: settleHold,
    send: (items, call) => running.closeHoldsBatch({ body: { items } }, call),
  });

  function hold(asker: Asker, request: HoldRequest): Promise<Hold> {
    const body = holdBody(asker, request);
    // The user's own token or key, so that accounting judges by itself who pays.
    const call = { idempotencyKey: `hold:${request.holdId}`, onBehalfOf: `Bearer ${asker.token}` };
    const item = { ...call, ...requestContext.origin(), hold: body };
    return holds({ item, call, alone: () => opening.holdCredits({ body }, call) });
  }

  // An access token may have run out since the answer began: the user is named by id.
  function end(holdId: HoldId, userId: UserId, ending: Ending): Promise<ClosedHold> {
    const body = ending.kind === 'void' ? { reason: ending.reason } : settlementOf(ending);
    const text = JSON.stringify(ending.kind === 'void' ? ending : body);
    const idempotencyKey = keyOf(`${ending.kind}:${holdId}`, text);
    const call = { idempotencyKey, onBehalfOf: userId };
    const alone = () =>
      'reason' in body
        ? running.voidHold({ params: { holdId }, body }, call)
        : running.settleHold({ params: { holdId }, body }, call);
    if (text.length > LONGEST_TOGETHER) return alone();
    const origin = requestContext.origin();
    const named = 'reason' in body ? { kind: 'void' as const, ...body } : { kind: 'settle' as const, ...body };
    return ends({ item: { idempotencyKey, ...origin, userId, holdId, end: named }, call, alone });
  }

  return { hold, end };
}

type HoldItem = ClientInput<typeof holdCreditsBatch>['body']['items'][number];
type EndItem = ClientInput<typeof closeHoldsBatch>['body']['items'][number];

const holdBody = ({ apiKey }: Asker, { holdId, resource, units, minOutput }: HoldRequest) => ({
  holdId,
  resource,
  units,
  ...(minOutput !== undefined && { minOutput }),
  ...(apiKey && { apiKeyId: apiKey.id }),
});

const renewalBody = ({ holdId, fence, checkpoint }: Renewal) => ({ holdId, fence, ...(checkpoint && { checkpoint }) });

function settlementOf({ outcome, units, usageSource, rawUsage }: Extract<Ending, { kind: 'settle' }>) {
  return { outcome, units, usageSource, ...(rawUsage !== undefined && { rawUsage: rawUsage as object as never }) };
}

/** A key stands for one body: whoever recovers a hold with other figures must not meet the key of the first. */
const keyOf = (name: string, body: string): string => `${name}:${hash('sha256', body, 'base64url').slice(0, 22)}`;

/** What accounting should never answer is its fault, not ours and not the user's. */
async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const isOdd = error instanceof AppError && ['INTERNAL', 'VALIDATION_FAILED', 'FORBIDDEN'].includes(error.code);
    throw isOdd ? unavailable(UNAVAILABLE, RETRY_AFTER_SECONDS, error) : error;
  }
}
