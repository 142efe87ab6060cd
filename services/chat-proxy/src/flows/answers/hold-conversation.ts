import { AppError } from '@tollgate/http-kit';
import { type Chatflow, isFlow } from '../../domain/chatflow.ts';
import { recentTurns, sessionIdFrom, topicOf, type Turn } from '../../domain/conversation.ts';
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
import type { Ask } from './prepare-ask.ts';
import type { SaveBuffer } from './save-later.ts';

const REMEMBERED_MESSAGES = 40;
const LONGEST_CHAIN_MS = 900_000;
/** Waits in ms: the answer before may have reached its client a moment before its lease is given back. */
const BUSY_RETRIES = [20, 40, 80, 160];

/** One question within a conversation that is ours until `finish`. */
export interface ConversationTurn {
  readonly sessionId: SessionId;
  readonly chatflowId: ChatflowId;
  readonly userId: UserId;
  readonly requestId: HoldId;
  readonly at: Date;
  readonly question: string;
  readonly stores: boolean;
  readonly isNew: boolean;
  /** No conversation stands behind it. */
  readonly isStateless: boolean;
  readonly isFlowise: boolean;
  readonly history: readonly Turn[];
  readonly promptBytes: number;
  readonly upstream: Pick<Prompt, 'upstreamChatId' | 'upstreamMemoryId'>;
}

export interface Conversations {
  /** SESSION_BUSY while another answer runs in it, NOT_FOUND when it belongs to somebody else or to another chatflow. */
  claim(claim: { caller: Asker; chatflow: Chatflow; ask: Ask; requestId: HoldId }): Promise<ConversationTurn>;
  /** Gives the conversation back and saves both messages. `bill` is undefined when nothing was sent. Never throws. */
  finish(turn: ConversationTurn, reply: Reply, bill: Promise<Bill | undefined> | undefined): Promise<void>;
}

interface Claimed {
  readonly chatflow: Chatflow;
  readonly ask: Ask;
  readonly session: Pick<Session, 'id' | 'upstreamChatIds' | 'upstreamMemoryId'>;
  readonly isNew: boolean;
}

export interface ConversationsDeps {
  readonly sessions: Pick<Sessions, 'claim' | 'release'>;
  readonly messages: Pick<Messages, 'save' | 'page'>;
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
    const { session, isNew } = isStateless
      ? { session: { id, upstreamChatIds: [deps.newId()], upstreamMemoryId: deps.newId() }, isNew: true }
      : await claimSession({ id, owner: caller, chatflowId: chatflow.id, requestId });
    const history = await historyFor(deps.messages, { chatflow, ask, session, isNew }).catch(async (error: unknown) => {
      await deps.sessions.release({ id, leaseId: requestId, discard: isNew }).catch(() => undefined);
      throw error;
    });
    const texts = [...history.map(({ content }) => content), ask.question, chatflow.systemPrompt ?? ''];
    const completionBytes = ask.completion?.inputBytes ?? 0;
    return {
      sessionId: id,
      chatflowId: chatflow.id,
      userId: caller.userId,
      requestId,
      at: new Date(deps.clock.now()),
      question: ask.question,
      stores: ask.stores,
      isNew,
      isStateless,
      isFlowise: isFlow(chatflow),
      history,
      promptBytes: promptBytes(texts) + completionBytes,
      upstream: {
        upstreamChatId: session.upstreamChatIds.at(-1) ?? session.upstreamMemoryId,
        upstreamMemoryId: session.upstreamMemoryId,
      },
    };
  }

  async function claimSession(wanted: Pick<SessionClaim, 'id' | 'owner' | 'chatflowId'> & { requestId: HoldId }) {
    const { requestId, ...session } = wanted;
    for (let attempt = 0; ; attempt += 1) {
      const now = deps.clock.now();
      const lease = { id: requestId, until: new Date(now + deps.sessionLeaseMs) };
      const claimed = await deps.sessions.claim({ ...session, lease, now: new Date(now) });
      if (claimed === 'not-found') throw new AppError('NOT_FOUND', 'Chat session not found or access denied');
      if (claimed !== 'busy') return claimed;
      const wait = BUSY_RETRIES[attempt];
      if (wait === undefined) throw new AppError('SESSION_BUSY');
      await deps.pause(wait);
    }
  }

  return { claim, finish: (turn, reply, bill) => finishTurn(deps, turn, reply, bill) };
}

/** A flow of Flowise remembers by itself; a model must be told. */
async function historyFor(store: Pick<Messages, 'page'>, { chatflow, ask, session, isNew }: Claimed): Promise<Turn[]> {
  if (ask.history.length > 0 || isFlow(chatflow) || isNew) return recentTurns(ask.history);
  const { messages } = await store.page(session.id, { limit: REMEMBERED_MESSAGES });
  return recentTurns(messages.map(({ role, content }) => ({ role, content })));
}

async function finishTurn(
  deps: ConversationsDeps,
  turn: ConversationTurn,
  reply: Reply,
  bill: Promise<Bill | undefined> | undefined,
): Promise<void> {
  if (turn.isStateless) return bill && leave(deps, turn, reply);
  const stores = turn.stores && (reply.hasOutput || reply.status === 'completed');
  const messages = stores ? messagesOf(turn, reply, await bill, deps) : [];
  const release = releaseOf(turn, reply, messages, deps);
  const save = async () => {
    // The session first: messages of a conversation that was deleted meanwhile must not come back.
    const exists = await deps.sessions.release(release);
    if (exists && messages.length > 0) await deps.messages.save(messages);
  };
  try {
    await save();
  } catch (error) {
    deps.saveLater.add({ sessionId: turn.sessionId, holdId: turn.requestId, save, reason: String(error) });
  }
}

/** Nobody comes back to a stateless conversation: what a flow has kept of it is deleted there (T-F13). */
async function leave(deps: ConversationsDeps, turn: ConversationTurn, reply: Reply): Promise<void> {
  if (!turn.isFlowise) return;
  const chats = [{ chatflowId: turn.chatflowId, chatId: turn.upstream.upstreamChatId }];
  // A chain goes on after its client has left, and writes its answer down when it is done.
  const wait = reply.status === 'completed' ? 0 : LONGEST_CHAIN_MS;
  const save = () => deps.forgetting.add(chats, new Date(deps.clock.now() + wait));
  try {
    await save();
  } catch (error) {
    deps.saveLater.add({ sessionId: turn.sessionId, holdId: turn.requestId, save, reason: String(error) });
  }
}

function releaseOf(
  turn: ConversationTurn,
  reply: Reply,
  messages: readonly StoredMessage[],
  deps: Pick<ConversationsDeps, 'newId' | 'clock'>,
): SessionRelease {
  return {
    id: turn.sessionId,
    leaseId: turn.requestId,
    // A refusal must leave nothing behind.
    discard: turn.isNew && !reply.hasBegun && reply.status !== 'completed',
    // A chain goes on after its client has left, and a second call to the same slot would receive its tokens (T-F7).
    ...(turn.isFlowise && reply.status !== 'completed' && { freshChatId: deps.newId() }),
    ...(messages.length > 0 && {
      stored: {
        topic: topicOf(turn.question),
        firstMessage: turn.question,
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
  { newId, clock }: Pick<ConversationsDeps, 'newId' | 'clock'>,
): StoredMessage[] {
  const both = { sessionId: turn.sessionId, userId: turn.userId, requestId: turn.requestId };
  const question = { ...both, id: newId(), role: 'user', content: turn.question, status: 'completed' } as const;
  const answer = { ...both, id: newId(), role: 'assistant', content: reply.text, status: reply.status } as const;
  const usage = bill && { inputTokens: bill.inputTokens, outputTokens: bill.outputTokens, estimated: bill.estimated };
  // Never the same instant as the question's, because the history is ordered by time.
  const answeredAt = new Date(Math.max(clock.now(), turn.at.getTime() + 1));
  return [
    { ...question, createdAt: turn.at, credits: null, usage: null, events: [] },
    {
      ...answer,
      createdAt: answeredAt,
      credits: bill?.credits ?? (0 as StoredMessage['credits']),
      usage: usage ?? null,
      events: reply.events,
    },
  ];
}
