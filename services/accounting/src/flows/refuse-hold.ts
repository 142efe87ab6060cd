import { AppError } from '@tollgate/http-kit';
import type { BlockReason, Ports, ReachedLimit, RefusedHold } from '../ports.ts';

/** Why credits cannot be held: the balance (402), a budget (402), a rate or too many answers at once (429), or a block (403). */
export function refusalOf({ events }: Pick<Ports, 'events'>, userId: string, refused: RefusedHold): AppError {
  if (refused.outcome === 'short') {
    events.refused({ reason: 'insufficient_credits', userId });
    return new AppError('INSUFFICIENT_CREDITS', undefined, { extra: { availableCredits: refused.available } });
  }
  if (refused.outcome === 'blocked') {
    events.refused({ reason: refused.reason, userId });
    return blockedError(refused.reason);
  }
  const { limit } = refused;
  const code = CODES[limit.measure];
  events.refused({ reason: REASONS[limit.measure], userId });
  return new AppError(code, undefined, {
    extra: detailsOf(limit),
    ...(limit.measure !== 'credits' && { headers: rateHeaders(limit) }),
  });
}

/** LimitDetails of contracts, and what is measured. */
const detailsOf = ({ scope, measure, window, limit, resetsAt }: ReachedLimit) => ({
  scope,
  measure,
  window,
  limit,
  resetsAt: resetsAt?.toISOString() ?? null,
});

const CODES = {
  credits: 'BUDGET_EXCEEDED',
  requests: 'RATE_LIMITED',
  tokens: 'RATE_LIMITED',
  parallel: 'PARALLEL_LIMIT',
} as const;

const REASONS = {
  credits: 'budget_exceeded',
  requests: 'rate_limited',
  tokens: 'rate_limited',
  parallel: 'parallel_limit',
} as const;

const BLOCKED = {
  account_disabled: 'ACCOUNT_DISABLED',
  key_revoked: 'KEY_REVOKED',
  workspace_disabled: 'WORKSPACE_DISABLED',
} as const;

export const blockedError = (reason: BlockReason): AppError => new AppError(BLOCKED[reason]);

const SECONDS = { minute: 60, day: 86_400, week: 604_800, month: 2_592_000, never: undefined } as const;

/** A slot comes free when an answer ends, which nobody can foretell. */
const SLOT_RETRY_SECONDS = 1;

/** draft-ietf-httpapi-ratelimit-headers-10; a window of the calendar is told by its usual length. */
function rateHeaders({ scope, measure, window, limit, resetsInSeconds }: ReachedLimit): Record<string, string> {
  const name = `"${measure}-${scope}"`;
  const wait = resetsInSeconds ?? SLOT_RETRY_SECONDS;
  const seconds = SECONDS[window];
  return {
    'retry-after': String(wait),
    'ratelimit-policy': `${name};q=${limit}${seconds === undefined ? '' : `;w=${seconds}`}`,
    ratelimit: `${name};r=0;t=${wait}`,
  };
}
