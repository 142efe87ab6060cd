import { AppError } from '@tollgate/http-kit';
import type { HoldId } from '../../domain/wire-types.ts';
import type { Clock, Messages, Session, SessionClaim, Sessions } from '../../ports.ts';
import { finishAbandoned } from '../conversations/finish-abandoned.ts';

/** Waits in ms: the answer before may have reached its client a moment before its lease is given back. */
const BUSY_RETRIES = [20, 40, 80, 160];

/** A conversation that is ours until its lease is given back. */
export interface TakenSession {
  readonly session: Pick<Session, 'id' | 'upstreamChatIds' | 'upstreamMemoryId' | 'messageCount'>;
  readonly isNew: boolean;
  /** The word of the database, for whatever may not begin without it. */
  readonly opened: Promise<void>;
}

interface Wanted extends Omit<SessionClaim, 'lease' | 'now'> {
  readonly requestId: HoldId;
  /** Its id was made for this question: there is nobody who could have it. */
  readonly isUnknown: boolean;
  readonly isStateless: boolean;
}

export interface TakeSessionDeps {
  readonly sessions: Pick<Sessions, 'open' | 'claim' | 'release'>;
  readonly messages: Pick<Messages, 'saveMissing'>;
  readonly newId: () => string;
  readonly clock: Clock;
  readonly pause: (ms: number) => Promise<unknown>;
  readonly sessionLeaseMs: number;
}

/**
 * Takes an own conversation, or opens one: SESSION_BUSY while another answer runs in it, NOT_FOUND when it belongs to somebody
 * else or to another chatflow. Nothing can refuse a new one, so that others need not wait for the database to have it.
 */
export const createTakeSession = (deps: TakeSessionDeps) =>
  async function takeSession({ requestId, isUnknown, isStateless, ...wanted }: Wanted): Promise<TakenSession> {
    const leaseAt = (now: number) => ({ id: requestId, until: new Date(now + deps.sessionLeaseMs) });
    if (isStateless || isUnknown) {
      const upstreamMemoryId = deps.newId();
      const session = { id: wanted.id, upstreamChatIds: [upstreamMemoryId], upstreamMemoryId, messageCount: 0 };
      const now = deps.clock.now();
      const row = { ...wanted, upstreamMemoryId, lease: leaseAt(now), now: new Date(now) };
      const opened = isStateless ? Promise.resolve() : deps.sessions.open(row);
      // Whoever waits for it hears of a failure.
      opened.catch(() => undefined);
      return { session, isNew: true, opened };
    }
    for (let attempt = 0; ; attempt += 1) {
      const now = deps.clock.now();
      const claimed = await deps.sessions.claim({ ...wanted, lease: leaseAt(now), now: new Date(now) });
      if (claimed === 'not-found') throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
      if (claimed !== 'busy' && 'unfinished' in claimed) await finishAbandoned(deps, claimed.unfinished);
      else if (claimed !== 'busy') return { ...claimed, opened: Promise.resolve() };
      const wait = BUSY_RETRIES[attempt];
      if (wait === undefined) throw new AppError('SESSION_BUSY');
      await deps.pause(wait);
    }
  };
