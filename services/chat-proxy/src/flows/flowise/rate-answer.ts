import { AppError } from '@tollgate/http-kit';
import { isFlow } from '../../domain/chatflow.ts';
import type { Tell } from '../../domain/facts.ts';
import type { ChatflowId, HoldId } from '../../domain/wire-types.ts';
import type {
  Chatflows,
  Clock,
  Feedback,
  FeedbackChange,
  Feedbacks,
  FlowiseSide,
  Owner,
  Sessions,
} from '../../ports.ts';
import type { OpenChat } from './open-chat.ts';

export interface RateAnswerDeps {
  readonly openChat: OpenChat;
  readonly feedbacks: Feedbacks;
  readonly sessions: Pick<Sessions, 'findAny'>;
  readonly chatflows: Pick<Chatflows, 'find'>;
  readonly side: Pick<FlowiseSide, 'feedback' | 'changeFeedback'>;
  readonly newId: () => string;
  readonly clock: Clock;
  readonly tell: Tell;
}

export interface Rated {
  readonly chatId: string;
  readonly messageId: string;
  readonly rating: Feedback['rating'];
  readonly content: string;
}

/** Ratings of own answers; of those of others nothing is known. They are kept here, and Flowise is told when the flow is its. */
export const createRateAnswer = (deps: RateAnswerDeps) => ({
  async rate(owner: Owner, chatflowId: ChatflowId, { chatId, messageId, rating, content }: Rated): Promise<Feedback> {
    const { openChat, feedbacks, newId, clock } = deps;
    const { sessionId } = await openChat(owner, chatflowId, { chatId });
    const requestId = messageId as HoldId; // answers are known to these clients by their request
    const answer = await feedbacks.findAnswer(sessionId, requestId);
    if (!answer) throw new AppError('NOT_FOUND', 'Message not found');
    const { upstreamMemoryId } = answer;
    const of = { userId: owner.userId, sessionId, upstreamMemoryId, chatflowId, chatId, requestId };
    const put = { id: newId(), ...of, rating, content, createdAt: new Date(clock.now()) };
    const kept = await feedbacks.put(put);
    passOn(deps, owner, kept);
    return kept;
  },

  async change(owner: Owner, id: string, change: FeedbackChange): Promise<Feedback> {
    const own = await deps.feedbacks.find(owner.userId, id);
    // A rating is where its conversation is; those of other workspaces do not exist here.
    const session = own && (await deps.sessions.findAny(owner, own.sessionId));
    const changed = session && (await deps.feedbacks.change(owner.userId, id, change));
    if (!changed) throw new AppError('NOT_FOUND', 'Feedback not found');
    passOn(deps, owner, changed);
    return changed;
  },
});

/** Nobody waits for it: what is kept here counts. */
function passOn(deps: RateAnswerDeps, owner: Owner, feedback: Feedback): void {
  void tellUpstream(deps, owner, feedback).catch((error: unknown) =>
    deps.tell('upstream_not_told', { of: 'feedback', chatflowId: feedback.chatflowId, reason: String(error) }),
  );
}

async function tellUpstream(deps: RateAnswerDeps, owner: Owner, feedback: Feedback): Promise<void> {
  const { chatflowId, sessionId, requestId, rating, content, upstreamId } = feedback;
  const [chatflow, session, answer] = await Promise.all([
    deps.chatflows.find(chatflowId),
    deps.sessions.findAny(owner, sessionId),
    deps.feedbacks.findAnswer(sessionId, requestId),
  ]);
  const chatId = session?.upstreamChatIds.at(-1);
  const messageId = answer?.upstreamMessageId;
  if (!chatflow || !isFlow(chatflow) || chatId === undefined || messageId === undefined) return;
  if (upstreamId !== undefined) return deps.side.changeFeedback(chatflow, upstreamId, { rating, content });
  const name = await deps.side.feedback(chatflow, { chatId, messageId, rating, content });
  await deps.feedbacks.name(feedback.id, name);
}
