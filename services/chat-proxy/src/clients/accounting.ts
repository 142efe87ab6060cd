import { createHash } from 'node:crypto';
import { accounting as operations } from '@tollgate/contracts';
import { AppError, unavailable } from '@tollgate/http-kit';
import { type Connections, createClient, mayHaveBeenApplied } from '@tollgate/http-kit/client';
import type { Accounting, Asker, Clock, Ending, HoldRequest, Renewal } from '../ports.ts';
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
const { holdCredits, extendHold, readHold, renewHolds, settleHold, voidHold, readTotalBalance } = operations;

/** Accounting, called with this service's own token and the name of the user it acts for. */
export function accountingClient(options: AccountingOptions): AccountingClient {
  const { baseUrl, timeoutMs, connections, closingConnections, token, clock } = options;
  const common = { baseUrl, timeoutMs, token, onUnavailable: UNAVAILABLE } as const;
  const opening = createClient({ holdCredits, readTotalBalance }, { ...common, connections });
  const running = createClient(
    { extendHold, readHold, renewHolds, settleHold, voidHold },
    { ...common, connections: closingConnections },
  );
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

  return {
    hold: (asker, request) =>
      orUnavailable(
        unlessAway.run(() =>
          opening.holdCredits(
            { body: holdBody(asker, request) },
            // The user's own token or key, so that accounting judges by itself who pays.
            { idempotencyKey: `hold:${request.holdId}`, onBehalfOf: `Bearer ${asker.token}` },
          ),
        ),
      ),

    mayHaveHeld: (error) => !(error instanceof Error && unasked.has(error)) && mayHaveBeenApplied(error),

    extend: (userId, { holdId, fence }, more) =>
      orUnavailable(
        running.extendHold(
          { params: { holdId }, body: { fence, ...more } },
          { idempotencyKey: keyOf(`extend:${holdId}`, more), onBehalfOf: userId },
        ),
      ),

    read: (holdId, userId) => orUnavailable(running.readHold({ params: { holdId } }, { onBehalfOf: userId })),

    async renew(renewals) {
      const { holds } = await orUnavailable(running.renewHolds({ body: { holds: renewals.map(renewalBody) } }));
      return holds.flatMap(({ holdId, outcome, reason }) =>
        outcome === 'renewed' ? [] : [{ holdId, outcome, reason }],
      );
    },

    // An access token may have run out since the answer began: the user is named by id.
    end: (holdId, userId, ending) =>
      ending.kind === 'void'
        ? running.voidHold(
            { params: { holdId }, body: { reason: ending.reason } },
            { idempotencyKey: keyOf(`void:${holdId}`, ending), onBehalfOf: userId },
          )
        : running.settleHold(
            { params: { holdId }, body: settlementOf(ending) },
            { idempotencyKey: keyOf(`settle:${holdId}`, settlementOf(ending)), onBehalfOf: userId },
          ),

    balance: async ({ token: userToken }) =>
      (await orUnavailable(opening.readTotalBalance(undefined, { token: userToken }))).totalCredits,

    breaker: unlessAway,
    connections: () => ({ opening: opening.connections(), running: running.connections() }),
    close: async () => void (await Promise.all([opening.close(), running.close()])),
  };
}

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
const keyOf = (name: string, body: object): string =>
  `${name}:${createHash('sha256').update(JSON.stringify(body)).digest('base64url').slice(0, 22)}`;

/** What accounting should never answer is its fault, not ours and not the user's. */
async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const isOdd = error instanceof AppError && ['INTERNAL', 'VALIDATION_FAILED', 'FORBIDDEN'].includes(error.code);
    throw isOdd ? unavailable(UNAVAILABLE, RETRY_AFTER_SECONDS, error) : error;
  }
}
