import { AppError } from '@tollgate/http-kit';
import type { ChatflowId, HoldId } from '../../domain/wire-types.ts';
import type { Clock, Feedback, FeedbackChange, Feedbacks, Owner } from '../../ports.ts';
import type { OpenChat } from './open-chat.ts';

export interface RateAnswerDeps {
  readonly openChat: OpenChat;
  readonly feedbacks: Feedbacks;
  readonly newId: () => string;
  readonly clock: Clock;
}

export interface Rated {
  readonly chatId: string;
  readonly messageId: string;
  readonly rating: Feedback['rating'];
  readonly content: string;
}

/** Ratings of own answers; of those of others nothing is known. */
export const createRateAnswer = ({ openChat, feedbacks, newId, clock }: RateAnswerDeps) => ({
  async rate(owner: Owner, chatflowId: ChatflowId, { chatId, messageId, rating, content }: Rated): Promise<Feedback> {
    const { sessionId } = await openChat(owner, chatflowId, { chatId });
    const requestId = messageId as HoldId; // answers are known to these clients by their request
    if (!(await feedbacks.hasAnswer(sessionId, requestId))) throw new AppError('NOT_FOUND', 'Message not found');
    const createdAt = new Date(clock.now());
    const of = { userId: owner.userId, sessionId, chatflowId, chatId, requestId };
    return feedbacks.put({ id: newId(), ...of, rating, content, createdAt });
  },

  async change(owner: Owner, id: string, change: FeedbackChange): Promise<Feedback> {
    const changed = await feedbacks.change(owner.userId, id, change);
    if (!changed) throw new AppError('NOT_FOUND', 'Feedback not found');
    return changed;
  },
});
