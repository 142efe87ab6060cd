import { AppError } from '@tollgate/http-kit';
import { type Chatflow, isFlow } from '../../domain/chatflow.ts';
import { forgetAt, recentTurns, sessionIdFrom, type Turn } from '../../domain/conversation.ts';
import { beginningOf, finishAbandoned } from '../conversations/finish-abandoned.ts';
import { LATE_MS } from '../conversations/erase-conversations.ts';
import { type Bill, promptBytes } from '../../domain/price.ts';
import type { Reply } from '../../domain/reply.ts';
import type { ChatflowId, HoldId, SessionId, UserId } from '../../domain/wire-types.ts';
import type {
  Asker,
  Clock,
  Forgetting,
  Messages,
  Prompt,
  Session,
  SessionClaim,
  SessionRelease,
  Sessions,
  StoredMessage,
} from '../../ports.ts';
import type { KeptFiles } from '../files/keep-files.ts';
import type { Ask } from './prepare-ask.ts';
import type { SaveBuffer } from './save-later.ts';

const REMEMBERED_MESSAGES = 40;
/** Waits in ms: the answer before may have reached its client a moment before its lease is given back. */
const BUSY_RETRIES = [20, 40, 80, 160];

/** One question within a conversation that is ours until `finish`. */
export interface ConversationTurn {
  readonly sessionId: SessionId;
  readonly userId: UserId;
  readonly requestId: HoldId;
  readonly at: Date;
  readonly question: string;
  /** Whether both messages are kept: what the client asks for, unless nothing may be kept. */
  readonly stores: boolean;
  readonly isNew: boolean;
  /** Made before the answer, so that saving it twice saves it once. */
  readonly messageIds: { readonly question: string; readonly answer: string };
  readonly chatflowId: ChatflowId;
  /** No conversation stands behind it. */
  readonly isStateless: boolean;
  readonly isFlowise: boolean;
  readonly history: readonly Turn[];
  readonly promptBytes: number;
  readonly upstream: Pick<Prompt, 'upstreamChatId' | 'upstreamMemoryId'>;
  /** Those of the question, when there are any to be kept. */
  readonly files?: KeptFiles | undefined;
}

export interface Conversations {
  /** SESSION_BUSY while another answer runs in it, NOT_FOUND when it belongs to somebody else or to another chatflow. */
  claim(claim: { caller: Asker; chatflow: Chatflow; ask: Ask; requestId: HoldId }): Promise<ConversationTurn>;
  /** Gives the conversation back and saves both messages. `isSent`: an upstream may know of it. Never throws. */
  finish(turn: ConversationTurn, reply: Reply, bill: Promise<Bill | undefined>, isSent: boolean): Promise<void>;
}

interface Claimed {
  readonly chatflow: Chatflow;
  readonly ask: Ask;
  readonly session: Pick<Session, 'id' | 'upstreamChatIds' | 'upstreamMemoryId'>;
  readonly isNew: boolean;
}

export interface ConversationsDeps {
  readonly sessions: Pick<Sessions, 'claim' | 'release'>;
  readonly messages: Pick<Messages, 'save' | 'saveMissing' | 'page' | 'deleteOf'>;
  readonly forgetting: Pick<Forgetting, 'add'>;
  readonly saveLater: SaveBuffer;
  readonly newId: () => string;
  readonly clock: Clock;
  readonly pause: (ms: number) => Promise<unknown>;
  readonly sessionLeaseMs: number;
}

export function createConversations(deps: ConversationsDeps): Conversations {
  async function claim({ caller, chatflow, ask, requestId }: Parameters<Conversations['claim']>[0]) {
    const named = sessionIdFrom(ask.sessionId);
    if (named === 'invalid') {
      throw new AppError('VALIDATION_FAILED', 'Invalid sessionId format. Must be a valid UUID.', {
        errors: [{ path: 'sessionId', message: 'must be a UUID' }],
      });
    }
    const id = named === 'new' ? (deps.newId() as SessionId) : named;
    const isStateless = ask.isStateless ?? false;
    const stores = ask.stores && chatflow.storage.keeps === 'all' && !isStateless;
    const at = new Date(deps.clock.now());
    const messageIds = { question: deps.newId(), answer: deps.newId() };
    const pending = { questionId: messageIds.question, answerId: messageIds.answer, question: ask.question, at };
    const of = { id, owner: caller, chatflowId: chatflow.id, alias: ask.sessionAlias };
    const wanted = { ...of, forgetAt: forgetAt(chatflow, at), requestId };
    const { session, isNew } = isStateless
      ? { session: { id, upstreamChatIds: [deps.newId()], upstreamMemoryId: deps.newId() }, isNew: true }
      : await claimSession({ ...wanted, ...(stores && { pending }) });
    const { upstreamMemoryId } = session;
    const history = await historyFor(deps.messages, { chatflow, ask, session, isNew }).catch(async (error: unknown) => {
      const released = { id, upstreamMemoryId, leaseId: requestId, discard: isNew };
      await deps.sessions.release(released).catch(() => undefined);
      throw error;
    });
    const texts = [...history.map(({ content }) => content), ask.question, chatflow.systemPrompt ?? ''];
    const completionBytes = ask.completion?.inputBytes ?? 0;
    return {
      sessionId: id,
      userId: caller.userId,
      requestId,
      at,
      question: ask.question,
      stores,
      isNew,
      messageIds,
      chatflowId: chatflow.id,
      isStateless,
      isFlowise: isFlow(chatflow),
      history,
      promptBytes: promptBytes(texts) + completionBytes,
      upstream: {
        upstreamChatId: session.upstreamChatIds.at(-1) ?? upstreamMemoryId,
        upstreamMemoryId,
      },
    };
  }

  async function claimSession({ requestId, ...session }: Omit<SessionClaim, 'lease' | 'now'> & { requestId: HoldId }) {
    for (let attempt = 0; ; attempt += 1) {
      const now = deps.clock.now();
      const lease = { id: requestId, until: new Date(now + deps.sessionLeaseMs) };
      const claimed = await deps.sessions.claim({ ...session, lease, now: new Date(now) });
      if (claimed === 'not-found') throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
      if (claimed !== 'busy' && 'unfinished' in claimed) await finishAbandoned(deps, claimed.unfinished);
      else if (claimed !== 'busy') return claimed;
      const wait = BUSY_RETRIES[attempt];
      if (wait === undefined) throw new AppError('SESSION_BUSY');
      await deps.pause(wait);
    }
  }

  return { claim, finish: (turn, reply, bill, isSent) => finishTurn(deps, { turn, reply, bill, isSent }) };
}

/** A flow of Flowise remembers by itself; a model must be told. */
async function historyFor(store: Pick<Messages, 'page'>, { chatflow, ask, session, isNew }: Claimed): Promise<Turn[]> {
  if (ask.history.length > 0 || isFlow(chatflow) || isNew) return recentTurns(ask.history);
  const { messages } = await store.page(session, { limit: REMEMBERED_MESSAGES });
  return recentTurns(messages.map(({ role, content }) => ({ role, content })));
}

interface FinishedTurn {
  readonly turn: ConversationTurn;
  readonly reply: Reply;
  readonly bill: Promise<Bill | undefined>;
  readonly isSent: boolean;
}

async function finishTurn(deps: ConversationsDeps, { turn, reply, bill, isSent }: FinishedTurn): Promise<void> {
  if (turn.isStateless && !isSent) return;
  const messages = turn.stores && isWorthKeeping(reply) ? messagesOf(turn, reply, await bill, deps) : [];
  const save = turn.isStateless
    ? () => forgetTurn(turn, deps)
    : () => saveTurn(turn, messages, releaseOf(turn, reply, messages, deps), deps);
  try {
    await save();
  } catch (error) {
    deps.saveLater.add({ sessionId: turn.sessionId, holdId: turn.requestId, save, reason: String(error) });
  }
}

const isWorthKeeping = (reply: Reply): boolean => reply.hasOutput || reply.status === 'completed';

/** May be done twice. The lease goes last: until then the question is kept with it. */
async function saveTurn(
  turn: ConversationTurn,
  messages: readonly StoredMessage[],
  release: SessionRelease,
  deps: ConversationsDeps,
): Promise<void> {
  await saveMessages(turn, messages, deps);
  const isThere = await deps.sessions.release(release);
  if (isThere || release.discard) return;
  // Deleted while it answered: nothing of it may come back, here or at the upstream.
  await forgetTurn(turn, deps);
  if (messages.length > 0) await deps.messages.deleteOf([{ id: turn.sessionId, ...turn.upstream }]);
  await turn.files?.drop();
}

async function saveMessages(
  { files }: ConversationTurn,
  [question, ...rest]: readonly StoredMessage[],
  deps: Pick<ConversationsDeps, 'messages'>,
): Promise<void> {
  if (!question) return files?.drop();
  const fileIds = (await files?.bindTo(question.id)) ?? [];
  await deps.messages.save([{ ...question, fileIds }, ...rest]);
}

/** A flow stores its answer by itself, at the latest when it has come to its end without its client. */
async function forgetTurn(turn: ConversationTurn, { forgetting, clock }: ConversationsDeps): Promise<void> {
  const { chatflowId, upstream } = turn;
  const at = new Date(clock.now() + LATE_MS);
  if (turn.isFlowise) await forgetting.add([{ chatflowId, chatId: upstream.upstreamChatId, at }]);
}

const leavesUpstreamBusy = (reply: Reply): boolean => reply.status !== 'completed' || reply.isUnattended;

function releaseOf(
  turn: ConversationTurn,
  reply: Reply,
  messages: readonly StoredMessage[],
  deps: Pick<ConversationsDeps, 'newId' | 'clock'>,
): SessionRelease {
  return {
    id: turn.sessionId,
    upstreamMemoryId: turn.upstream.upstreamMemoryId,
    leaseId: turn.requestId,
    // A refusal must leave nothing behind.
    discard: turn.isNew && !reply.hasBegun && reply.status !== 'completed',
    // A chain goes on after its client has left, and a second call to the same slot would receive its tokens (T-F7).
    ...(turn.isFlowise && leavesUpstreamBusy(reply) && { freshChatId: deps.newId() }),
    ...(messages.length > 0 && {
      stored: {
        ...beginningOf(turn.question),
        at: new Date(deps.clock.now()),
        messages: messages.length,
      },
    }),
  };
}

function messagesOf(
  turn: ConversationTurn,
  reply: Reply,
  bill: Bill | undefined,
  { clock }: Pick<ConversationsDeps, 'clock'>,
): StoredMessage[] {
  const { sessionId, userId, requestId, messageIds } = turn;
  const both = { sessionId, userId, requestId, upstreamMemoryId: turn.upstream.upstreamMemoryId };
  const question = {
    ...both,
    id: messageIds.question,
    role: 'user',
    content: turn.question,
    status: 'completed',
  } as const;
  const answer = {
    ...both,
    id: messageIds.answer,
    role: 'assistant',
    content: reply.text,
    status: reply.status,
  } as const;
  const usage = bill && { inputTokens: bill.inputTokens, outputTokens: bill.outputTokens, estimated: bill.estimated };
  // Never the same instant as the question's, because the history is ordered by time.
  const answeredAt = new Date(Math.max(clock.now(), turn.at.getTime() + 1));
  return [
    { ...question, createdAt: turn.at, credits: null, usage: null, events: [], fileIds: [] },
    {
      ...answer,
      createdAt: answeredAt,
      credits: bill?.credits ?? (0 as StoredMessage['credits']),
      usage: usage ?? null,
      events: reply.events,
      upstreamMessageId: reply.upstreamMessageId,
      fileIds: [],
    },
  ];
}
