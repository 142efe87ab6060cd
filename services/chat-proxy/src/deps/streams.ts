import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Limit } from '@tollgate/http-kit';
import type { Config } from '../config.ts';
import type { Tell } from '../domain/facts.ts';
import { type AnswerRequests, createAnswerRequests } from '../flows/answers/answer-requests.ts';
import type { SharedChatDeps } from '../flows/chat.ts';
import { createSlots } from '../flows/limits/hold-slots.ts';
import { type AnswerLimits, createAnswerLimits } from '../flows/limits/limit-answers.ts';
import { createSharedRate } from '../flows/limits/shared-rate.ts';
import { createClaimKeys } from '../flows/streams/claim-keys.ts';
import { createPatience } from '../flows/streams/keep-running.ts';
import { createRecordings, type Recordings } from '../flows/streams/recordings.ts';
import { createSharing, type Sharing } from '../flows/streams/share-recordings.ts';
import type { Accounting, Clock } from '../ports.ts';
import type { Stores } from './store.ts';

interface Neighbours {
  readonly chat: SharedChatDeps;
  readonly stores: Stores;
  readonly accounting: Pick<Accounting, 'read' | 'bury'>;
  readonly sharing: Sharing;
  readonly clock: Clock;
  readonly tell: Tell;
  readonly longestAnswerMs: number;
}

export interface Streams {
  readonly requests: AnswerRequests;
  readonly limits: AnswerLimits;
  /** What may be read again, in this process. */
  readonly recordings: Pick<Recordings, 'bytes'>;
  /** For every request that begins an answer. */
  readonly limit: Limit;
  /** Says that this process lives. */
  beat(): Promise<void>;
  /** Whether the other processes know that it does: until then they take its places and its keys for those of the dead. */
  isKnown(): boolean;
  /** Hears what came in elsewhere. */
  listen(): Promise<void>;
  /** Writes what others may ask for, and repeats what could not be written. */
  share(): Promise<void>;
  /** The last words of this process. */
  leave(): Promise<void>;
}

/** The answers that other processes may be asked for. */
export const openSharing = (
  config: Config,
  { shared, instances, clock }: Pick<Stores, 'shared' | 'instances'> & { clock: Clock },
): Sharing =>
  createSharing({
    shared,
    instances,
    clock,
    pause: (ms, signal) => pause(ms, undefined, { signal }),
    lookEveryMs: config.ANSWER_SHARE_INTERVAL,
    mostBytes: config.ANSWER_KEPT_BYTES,
  });

/** What stands between the doors and an answer: keys, limits, stops, and recordings to read again. */
export function createStreams(config: Config, neighbours: Neighbours): Streams {
  const { chat, stores, accounting, sharing, clock, longestAnswerMs } = neighbours;
  const { instances, stops, shared, keys, journal } = stores;
  const { limits, slots } = createLimits(config, neighbours);
  const recordings = createRecordings({
    clock,
    keptMs: config.ANSWER_KEPT_FOR,
    mostBytes: config.ANSWER_KEPT_BYTES,
    mostBytesInAll: config.ANSWERS_KEPT_BYTES,
  });
  const claims = createClaimKeys({
    keys,
    instances,
    accounting,
    journal,
    clock,
    newRequestId: chat.newRequestId,
    hash: (text) => createHash('sha256').update(text).digest('hex'),
    isGiven: recordings.hasEnded,
    isKept: async (owner, requestId) =>
      (await shared.read(owner, requestId, Number.MAX_SAFE_INTEGER, new Date(clock.now())))?.state === 'ended',
    keptMs: config.IDEMPOTENCY_KEPT_FOR,
    longestAnswerMs,
  });
  const patience = createPatience({ atOnce: config.KEEP_RUNNING_AT_ONCE, after });
  const requests = createAnswerRequests({
    chat,
    limits,
    claims,
    recordings,
    sharing,
    patience,
    stops,
    followed: () => shared.followed(new Date(clock.now())),
    defaultWorkspaceId: config.DEFAULT_WORKSPACE_ID,
    longestGraceSeconds: config.KEEP_RUNNING_MAX / MS_PER_SECOND,
    keptMs: config.ANSWER_KEPT_FOR,
    keyKeptMs: config.IDEMPOTENCY_KEPT_FOR,
  });
  const share = async (): Promise<void> => {
    recordings.sweep();
    await Promise.all([sharing.flush(), claims.tick(), slots.tick()]);
  };
  let knownUntil = 0;
  return {
    requests,
    limits,
    recordings,
    limit: async ({ route, caller }) =>
      route.operation.answers && caller?.kind === 'user' ? limits.admit(caller) : undefined,
    async beat() {
      const now = clock.now();
      const until = performance.now() + config.JOURNAL_LEASE;
      await instances.beat(new Date(now), new Date(now + config.JOURNAL_LEASE));
      knownUntil = until;
    },
    isKnown: () => performance.now() < knownUntil,
    listen: () => requests.listen(),
    share,
    async leave() {
      await share().catch(() => undefined);
      await instances.leave().catch(() => undefined);
    },
  };
}

const MS_PER_SECOND = 1000;
const WINDOW_MS = 60_000;

function createLimits(config: Config, { stores, clock, tell }: Pick<Neighbours, 'stores' | 'clock' | 'tell'>) {
  const { counts, slots: places } = stores;
  const unshared = (of: 'rate' | 'slots') => () => tell('limit_unshared', { of });
  const rate = (name: string) =>
    createSharedRate({ counts, clock, name, windowMs: WINDOW_MS, unshared: unshared('rate') });
  const slots = createSlots({ slots: places, clock, unshared: unshared('slots') });
  const limits = createAnswerLimits({
    rates: { user: rate('user'), key: rate('key'), chatflow: rate('chatflow') },
    slots,
    settings: {
      perUserPerMinute: config.REQUESTS_PER_MINUTE_PER_USER,
      perKeyPerMinute: config.REQUESTS_PER_MINUTE_PER_KEY,
      parallelPerUser: config.PARALLEL_ANSWERS_PER_USER,
    },
  });
  return { limits, slots };
}

function after(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}
