import { topicOf } from '../../domain/conversation.ts';
import type { Credits } from '../../domain/wire-types.ts';
import type { Clock, Messages, Sessions, StoredMessage, UnfinishedSession } from '../../ports.ts';

const FINISHED_AT_ONCE = 50;

export interface FinishAbandonedDeps {
  readonly sessions: Pick<Sessions, 'release'>;
  readonly messages: Pick<Messages, 'saveMissing'>;
  readonly newId: () => string;
}

/** How a conversation is called and introduced in lists. */
export const beginningOf = (question: string) => ({ topic: topicOf(question), firstMessage: question });

/**
 * The process that answered is gone, or silent for too long: the question goes into the history with an answer that failed.
 * Should the process live after all, what it saves replaces that.
 */
export async function finishAbandoned(
  deps: FinishAbandonedDeps,
  { session, pending }: UnfinishedSession,
): Promise<void> {
  const { id: sessionId, upstreamMemoryId, userId } = session;
  const both = {
    sessionId,
    upstreamMemoryId,
    userId,
    requestId: pending.requestId,
    usage: null,
    events: [],
    fileIds: [],
  };
  const at = pending.at.getTime();
  const messages: StoredMessage[] = [
    {
      ...both,
      id: pending.questionId,
      role: 'user',
      content: pending.question,
      status: 'completed',
      createdAt: pending.at,
      credits: null,
    },
    {
      ...both,
      id: pending.answerId,
      role: 'assistant',
      content: '',
      status: 'failed',
      createdAt: new Date(at + 1),
      credits: null as Credits | null,
    },
  ];
  await deps.messages.saveMissing(messages);
  await deps.sessions.release({
    id: sessionId,
    upstreamMemoryId,
    leaseId: pending.requestId,
    discard: false,
    // The flow may go on without us, and a second call to the same slot would receive its tokens (T-F7).
    freshChatId: deps.newId(),
    stored: {
      at: new Date(at + 1),
      messages: messages.length,
      ...(session.messageCount === 0 && { beginning: beginningOf(pending.question) }),
    },
  });
}

/** One turn of the background task: questions whose process died before it had saved an answer. True when there may be more. */
export const createFinishAbandoned = ({
  clock,
  ...deps
}: FinishAbandonedDeps & { readonly sessions: Pick<Sessions, 'unfinished'>; readonly clock: Clock }) =>
  async function finishAllAbandoned(): Promise<boolean> {
    const found = await deps.sessions.unfinished(new Date(clock.now()), FINISHED_AT_ONCE);
    for (const each of found) await finishAbandoned(deps, each);
    return found.length === FINISHED_AT_ONCE;
  };
