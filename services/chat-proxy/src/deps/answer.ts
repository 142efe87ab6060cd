import { setTimeout as pause } from 'node:timers/promises';
import { wireCode } from '@tollgate/contracts';
import { AppError, asPartOf, newUuid, requestContext, toAppError, type Tracer } from '@tollgate/http-kit';
import type { Config } from '../config.ts';
import { isLeaving } from '../domain/answer-events.ts';
import type { Tell } from '../domain/facts.ts';
import type { HoldId } from '../domain/wire-types.ts';
import type { SharedChatDeps } from '../flows/chat.ts';
import type { ChatFiles } from '../flows/files/chat-files.ts';
import { createAnswers } from '../flows/answers/answer-with-fallback.ts';
import { isStrike } from '../flows/answers/count-strikes.ts';
import { createConversations } from '../flows/answers/hold-conversation.ts';
import { createHolds } from '../flows/answers/hold-credits.ts';
import { createLeaseKeeper, KEEPING_TURNS } from '../flows/answers/keep-leases.ts';
import { createSaveBuffer } from '../flows/answers/save-later.ts';
import { createJournalComparer } from '../flows/answers/compare-journal.ts';
import { createSettler } from '../flows/answers/settle-leftovers.ts';
import type { Sharing } from '../flows/streams/share-recordings.ts';
import { createMetering } from './metering.ts';
import type { Accounting, Clock } from '../ports.ts';
import type { Stores } from './store.ts';
import { longestAnswerMs } from './stream-stores.ts';
import { createStreams, openSharing } from './streams.ts';
import type { Upstreams } from './upstream.ts';

const SOON_MS = 50;
const LAST_REPEAT_MS = 100;

interface Neighbours {
  readonly stores: Stores;
  readonly accounting: Accounting;
  readonly upstreams: Upstreams;
  readonly clock: Clock;
  readonly tell: Tell;
  readonly files: ChatFiles;
  readonly tracer: Tracer | undefined;
}

/** Everything a chat request passes through, and what looks after it in the background. */
export function createAnswering(config: Config, neighbours: Neighbours) {
  const { stores, accounting, upstreams, clock, tell } = neighbours;
  const { sessions, messages, chatflows, forgetting } = stores;
  const stopping = new AbortController();

  const sharing = openSharing(config, { ...stores, clock });
  const { settler, keeper, holds, comparer } = createHolding(config, { ...neighbours, sharing });
  const { drain, strikes } = createMetering(config, neighbours);
  const saveLater = createSaveBuffer({ clock, tell });
  const deps: SharedChatDeps = {
    chatflows,
    conversations: createConversations({
      sessions,
      messages,
      forgetting,
      saveLater,
      newId: newUuid,
      clock,
      pause,
      sessionLeaseMs: config.SESSION_LEASE,
    }),
    holds,
    files: neighbours.files,
    answers: createAnswers({ ...upstreams, holds, drain, random: Math.random, tell }),
    strikes,
    newRequestId: () => newUuid() as HoldId, // a random UUID is what a hold id is
    clock,
    stopping: stopping.signal,
    finished: (answer) => {
      tellFinished(tell)(answer);
      const { reply, userId, id: holdId } = answer.hold;
      if (isStrike(reply)) void strikes.add({ userId, holdId });
    },
  };

  const streams = createStreams(config, {
    chat: deps,
    stores,
    accounting,
    sharing,
    clock,
    tell,
    longestAnswerMs: longestAnswerMs(config),
  });

  return {
    settler,
    keeper,
    comparer,
    saveLater,
    /** For answers of another kind that are held and settled the same way. */
    chatDeps: deps,
    streams,
    chat: streams.requests.chat,
    stop: streams.requests.stop,
    endAnswers: () => stopping.abort(new AppError('SERVER_SHUTDOWN')),
    /** Resolves when every answer has been settled; what does not go through is repeated until it has, or this aborts. */
    async settled(enough: AbortSignal) {
      await settler.idle();
      while (settler.waiting > settler.parked && !enough.aborted) {
        await pause(LAST_REPEAT_MS, undefined, { signal: enough }).catch(() => undefined);
        await settler.repeat();
      }
      await saveLater.tick();
    },
  };
}

/** What keeps the credits of running answers, and brings each hold to its end. */
function createHolding(
  config: Config,
  { stores, accounting, clock, tell, sharing, tracer }: Neighbours & { sharing: Sharing },
) {
  const { sessions, journal } = stores;
  const { JOURNAL_LEASE: journalLeaseMs, SESSION_LEASE: sessionLeaseMs } = config;
  const settler = createSettler({
    accounting,
    journal,
    clock,
    tell,
    random: Math.random,
    journalLeaseMs,
    retry: { firstMs: config.SETTLE_RETRY_FIRST, longestMs: config.SETTLE_RETRY_LONGEST },
    asPartOf: (origin, work) => asPartOf(origin, { name: 'end hold', tracer }, work),
  });
  const soon = (work: () => void) => void setTimeout(work, SOON_MS);
  const keeper = createLeaseKeeper({
    accounting,
    journal,
    sessions,
    clock,
    tell,
    keepAnswers: () =>
      Promise.race([
        sharing.flush().catch(() => undefined),
        pause(config.HOLD_RENEW_INTERVAL / 2, undefined, { ref: false }),
      ]),
    soon,
    journalLeaseMs,
    sessionLeaseMs,
    noteEveryMs: config.CHECKPOINT_INTERVAL,
    renewEveryMs: config.HOLD_RENEW_INTERVAL,
    turns: KEEPING_TURNS,
    longestAnswerMs: longestAnswerMs(config),
    overdue: (hold) => void holds.close(hold),
  });
  const holds = createHolds({
    accounting,
    journal,
    keeper,
    settler,
    clock,
    origin: requestContext.origin,
    journalLeaseMs,
    defaultOutput: config.DEFAULT_OUTPUT_TOKENS,
    minOutput: config.MIN_OUTPUT_TOKENS,
    absentUsage: config.ABSENT_USAGE,
  });
  // Within three leases whoever lives has taken over what a dead owner left.
  const graceMs = 3 * journalLeaseMs;
  const comparer = createJournalComparer({ accounting, journal, clock, tell, graceMs });
  return { settler, keeper, holds, comparer };
}

export type Answering = ReturnType<typeof createAnswering>;

const tellFinished =
  (tell: Tell): SharedChatDeps['finished'] =>
  ({ hold: { id: holdId, userId, reply, place }, error }) => {
    const { upstream, id: chatflowId } = place;
    const code = error === undefined || isLeaving(error) ? undefined : wireCode(toAppError(error).code);
    const outputTokens = reply.tokens().output;
    tell('chat_finished', { holdId, userId, upstream, outcome: reply.status, chatflowId, outputTokens, code });
    if (reply.hasBadUsage) tell('usage_not_believed', { holdId, upstream });
  };
