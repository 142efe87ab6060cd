import { chat } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { AnswerRequests } from '../../flows/answers/answer-requests.ts';
import type { OpenChat, OpenedChat } from '../../flows/flowise/open-chat.ts';
import type { createRateAnswer } from '../../flows/flowise/rate-answer.ts';
import type { createReadChat } from '../../flows/flowise/read-chat.ts';
import type { Feedback, StoredMessage } from '../../ports.ts';

export interface FlowiseChatFlows {
  readonly openChat: OpenChat;
  readonly stop: AnswerRequests['stop'];
  readonly chats: ReturnType<typeof createReadChat>;
  readonly ratings: ReturnType<typeof createRateAnswer>;
}

/** Conversations by the names that clients of Flowise give them. */
export const flowiseChatRoutes = ({ openChat, stop, chats, ratings }: FlowiseChatFlows): Route[] => [
  serve(chat.abortFlowiseAnswer).with(async ({ params: { id, chatId } }, caller) => {
    const { sessionId } = await openChat(caller, id, { chatId });
    await stop(caller, { chatflowId: id, sessionId });
    return { status: 200 as const, message: 'Chat message aborted' };
  }),
  serve(chat.readFlowiseMessages).with(async ({ params: { id }, query }, caller) => {
    const { chat: opened, messages } = await chats.messages(caller, id, query);
    const rows = messages.map((message) => rowOf(message, id, opened));
    return query.order === 'DESC' ? rows.reverse() : rows;
  }),
  serve(chat.deleteFlowiseMessages).with(async ({ params: { id }, query }, caller) => ({
    raw: [],
    affected: await chats.remove(caller, id, query),
  })),
  serve(chat.giveFlowiseFeedback).with(async ({ params: { id }, body }, caller) => {
    const { chatId, messageId, rating, content } = body;
    return feedbackView(await ratings.rate(caller, id, { chatId, messageId, rating, content: content ?? '' }));
  }),
  serve(chat.changeFlowiseFeedback).with(async ({ params: { id }, body: { rating, content } }, caller) =>
    feedbackView(
      await ratings.change(caller, id, { ...(rating && { rating }), ...(typeof content === 'string' && { content }) }),
    ),
  ),
];

function rowOf(message: StoredMessage, chatflowid: ChatflowId, { chatId, label }: OpenedChat) {
  const isAnswer = message.role === 'assistant';
  const data = (name: string): unknown => message.events.findLast(({ event }) => event === name)?.data ?? null;
  const { memoryType, followUpPrompts } = Object(data('metadata')) as Record<string, unknown>;
  return {
    // Answers are known by their request, which the client was told as `chatMessageId`.
    id: (isAnswer && message.requestId) || message.id,
    role: isAnswer ? ('apiMessage' as const) : ('userMessage' as const),
    chatflowid,
    content: message.content,
    chatType: 'EXTERNAL' as const,
    chatId,
    sessionId: label,
    memoryType: typeof memoryType === 'string' ? memoryType : null,
    createdDate: message.createdAt.toISOString(),
    sourceDocuments: data('sourceDocuments'),
    usedTools: data('usedTools'),
    fileAnnotations: data('fileAnnotations'),
    agentReasoning: data('agentReasoning'),
    artifacts: data('artifacts'),
    action: data('action'),
    followUpPrompts: followUpPrompts === undefined ? null : JSON.stringify(followUpPrompts),
  };
}

const feedbackView = ({ id, chatflowId, chatId, requestId, rating, content, createdAt }: Feedback) => ({
  id,
  chatflowid: chatflowId,
  chatId,
  messageId: requestId,
  rating,
  content,
  createdDate: createdAt.toISOString(),
});
