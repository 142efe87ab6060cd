import { createHash } from 'node:crypto';
import { accounting as operations } from '@tollgate/contracts';
import { AppError, unavailable } from '@tollgate/http-kit';
import { createClient } from '@tollgate/http-kit/client';
import type { Accounting, Ending } from '../ports.ts';

export interface AccountingOptions {
  readonly baseUrl: string;
  /** Milliseconds for one attempt. */
  readonly timeoutMs: number;
  readonly connections: number;
  /** A service token for accounting. */
  readonly token: () => Promise<string>;
}

export interface AccountingClient extends Accounting {
  close(): Promise<void>;
}

const RETRY_AFTER_SECONDS = 2;
const { holdCredits, extendHold, renewHolds, settleHold, voidHold, readTotalBalance } = operations;

/** Accounting, called with this service's own token and the name of the user it acts for. */
export function accountingClient({ baseUrl, timeoutMs, connections, token }: AccountingOptions): AccountingClient {
  const client = createClient(
    { holdCredits, extendHold, renewHolds, settleHold, voidHold, readTotalBalance },
    { baseUrl, timeoutMs, connections, token, onUnavailable: 'ACCOUNTING_UNAVAILABLE' },
  );

  return {
    hold: ({ token: userToken }, { holdId, resource, units, minOutput }) =>
      orUnavailable(
        client.holdCredits(
          { body: { holdId, resource, units, ...(minOutput !== undefined && { minOutput }) } },
          // The user's own token, so that accounting judges by itself who pays.
          { idempotencyKey: `hold:${holdId}`, onBehalfOf: `Bearer ${userToken}` },
        ),
      ),

    extend: (userId, { holdId, fence }, units) =>
      orUnavailable(
        client.extendHold(
          { params: { holdId }, body: { fence, units } },
          { idempotencyKey: keyOf(`extend:${holdId}`, units), onBehalfOf: userId },
        ),
      ),

    async renew(renewals) {
      const { holds } = await orUnavailable(
        client.renewHolds({
          body: {
            holds: renewals.map(({ holdId, fence, checkpoint }) => ({
              holdId,
              fence,
              ...(checkpoint && { checkpoint }),
            })),
          },
        }),
      );
      return holds.flatMap(({ holdId, outcome }) => (outcome === 'renewed' ? [] : [{ holdId, outcome }]));
    },

    // An access token may have run out since the answer began: the user is named by id.
    end: (holdId, userId, ending) =>
      orUnavailable(
        ending.kind === 'void'
          ? client.voidHold(
              { params: { holdId }, body: { reason: ending.reason } },
              { idempotencyKey: keyOf(`void:${holdId}`, ending), onBehalfOf: userId },
            )
          : client.settleHold(
              { params: { holdId }, body: settlementOf(ending) },
              { idempotencyKey: keyOf(`settle:${holdId}`, settlementOf(ending)), onBehalfOf: userId },
            ),
      ),

    balance: async ({ token: userToken }) =>
      (await orUnavailable(client.readTotalBalance(undefined, { token: userToken }))).totalCredits,

    close: () => client.close(),
  };
}

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
    throw isOdd ? unavailable('ACCOUNTING_UNAVAILABLE', RETRY_AFTER_SECONDS, error) : error;
  }
}
