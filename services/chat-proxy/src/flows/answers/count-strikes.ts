import { AppError } from '@tollgate/http-kit';
import type { Tell } from '../../domain/facts.ts';
import type { Reply } from '../../domain/reply.ts';
import type { HoldId, UserId } from '../../domain/wire-types.ts';
import type { Clock, StrikeCounts } from '../../ports.ts';

const MS_PER_SECOND = 1000;
/** The type of problem that the IETF httpapi draft on rate limits names. */
const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded';
const POLICY = 'disconnects';
const MOST_BLOCKED = 10_000;

/** Who leaves before the first token pays nothing, and the upstream has worked all the same: only so often in a window. */
export interface Strikes {
  /** @throws RATE_LIMITED. Asks no database: see `add`. */
  refuse(userId: UserId): void;
  /**
   * Counts one, for all instances together; the one that counts learns the sum. Others learn it at the user's next strike
   * with them, so that nobody has to ask before an answer, and a user has at most one strike more for each of them.
   */
  add(user: { userId: UserId; holdId: HoldId }): Promise<void>;
}

/** Whether its client has left an answer before a word of it was made; events of a flow alone are no word. */
export const isStrike = ({ status, hasOutput }: Pick<Reply, 'status' | 'hasOutput'>): boolean =>
  status === 'aborted' && !hasOutput;

export interface StrikesDeps {
  readonly counts: StrikeCounts;
  readonly clock: Clock;
  readonly tell: Tell;
  /** 0: no limit. */
  readonly limit: number;
  readonly windowMs: number;
}

export function createStrikes({ counts, clock, tell, limit, windowMs }: StrikesDeps): Strikes {
  /** Until when, in milliseconds since 1970; the oldest first. */
  const blocked = new Map<UserId, number>();

  function block(userId: UserId, until: number): void {
    blocked.delete(userId);
    blocked.set(userId, until);
    const [oldest] = blocked.keys();
    if (blocked.size > MOST_BLOCKED && oldest !== undefined) blocked.delete(oldest);
  }

  return {
    refuse(userId) {
      const until = blocked.get(userId);
      if (until === undefined) return;
      const waitMs = until - clock.now();
      if (waitMs <= 0) return void blocked.delete(userId);
      const seconds = Math.max(1, Math.ceil(waitMs / MS_PER_SECOND));
      throw new AppError('RATE_LIMITED', 'Too many answers were left before they began', {
        headers: {
          'retry-after': String(seconds),
          'ratelimit-policy': `"${POLICY}";q=${limit};w=${Math.ceil(windowMs / MS_PER_SECOND)}`,
          ratelimit: `"${POLICY}";r=0;t=${seconds}`,
        },
        extra: { type: QUOTA_EXCEEDED, 'violated-policies': [POLICY] },
      });
    },
    async add({ userId, holdId }) {
      if (limit === 0) return;
      const until = (Math.floor(clock.now() / windowMs) + 1) * windowMs;
      try {
        const strikes = await counts.add(userId, new Date(until));
        tell('answer_unread', { holdId, userId, strikes });
        if (strikes >= limit) block(userId, until);
      } catch (error) {
        tell('background_failed', { task: 'strikes', reason: String(error) });
      }
    },
  };
}
