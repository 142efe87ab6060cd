import { AppError } from '@tollgate/http-kit';
import { type Chatflow, isFlow } from '../../domain/chatflow.ts';
import { forgetAt, recentTurns, sessionIdFrom, type Turn } from '../../domain/conversation.ts';
import { beginningOf } from '../conversations/finish-abandoned.ts';
import { LATE_MS } from '../conversations/erase-conversations.ts';
import { type Bill, promptBytes } from '../../domain/price.ts';
import type { Reply } from '../../domain/reply.ts';
import type { ChatflowId, HoldId, SessionId, UserId } from '../../domain/wire-types.ts';
import type { Asker, Forgetting, Messages, Prompt, SessionRelease, Sessions, StoredMessage } from '../../ports.ts';
import type { KeptFiles } from '../files/keep-files.ts';
import type { Ask } from './prepare-ask.ts';
import type { SaveBuffer } from './save-later.ts';
import { createTakeSession, type TakenSession, type TakeSessionDeps } from './take-session.ts';

const REMEMBERED_MESSAGES = 40;

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
  /** No message is stored in it. */
  readonly isFirst: boolean;
  /** Acknowledged by the database; to be waited for before anything is sent. Of a new conversation nothing else depends on it. */
  readonly opened: Promise<void>;
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

export interface ConversationsDeps extends TakeSessionDeps {
  readonly sessions: Pick<Sessions, 'open' | 'claim' | 'release'>;
  readonly messages: Pick<Messages, 'save' | 'saveMissing' | 'page' | 'deleteOf'>;
  readonly forgetting: Pick<Forgetting, 'add'>;
  readonly saveLater: SaveBuffer;
}

export function createConversations(deps: ConversationsDeps): Conversations {
  const take = createTakeSession(deps);

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
    const { session, isNew, opened } = await take({
      id,
      owner: caller,
      chatflowId: chatflow.id,
      alias: ask.sessionAlias,
      forgetAt: forgetAt(chatflow, at),
      requestId,
      ...(stores && { pending, beginning: beginningOf(ask.question) }),
      isUnknown: named === 'new' || ask.opensSession === true,
      isStateless,
    });
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
      isFirst: session.messageCount === 0,
      opened,
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

  return { claim, finish: (turn, reply, bill, isSent) => finishTurn(deps, { turn, reply, bill, isSent }) };
}

interface Told extends Pick<TakenSession, 'session' | 'isNew'> {
  readonly chatflow: Chatflow;
  readonly ask: Ask;
}

/** A flow of Flowise remembers by itself; a model must be told. */
async function historyFor(store: Pick<Messages, 'page'>, { chatflow, ask, session, isNew }: Told): Promise<Turn[]> {
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
  // What may still be on its way would come after it was given back, and stay taken.
  await turn.opened.catch(() => undefined);
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
        at: new Date(deps.clock.now()),
        messages: messages.length,
        ...(turn.isFirst && !turn.isNew && { beginning: beginningOf(turn.question) }),
      },
    }),
    ...(turn.isFirst && turn.stores && messages.length === 0 && { dropsBeginning: true }),
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
