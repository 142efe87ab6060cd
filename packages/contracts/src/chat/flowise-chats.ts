import { z } from 'zod';
import { ChatflowId, Timestamp, Uuid } from '../ids.ts';
import { operation } from '../operation.ts';
import { chatflowParams } from './chatflows.ts';
import { ChatLabel } from './flowise.ts';
import { textOf, trimmedTextOf } from '../text.ts';

const LONGEST_COMMENT = 4000;

export const abortFlowiseAnswer = operation({
  id: 'abortFlowiseAnswer',
  method: 'PUT',
  path: '/api/v1/chatmessage/abort/:id/:chatId',
  summary: 'Stop the answer that runs in an own conversation; says the same when there is none',
  permission: 'chat:use',
  params: z.strictObject({ id: ChatflowId, chatId: ChatLabel }),
  dialect: 'flowise',
  result: z.object({ status: z.literal(200), message: z.string() }),
});

/** One of the two names the conversation, and `sessionId` comes first. */
const chatQuery = z
  .strictObject({
    chatId: ChatLabel.optional(),
    sessionId: ChatLabel.optional(),
    order: z.enum(['ASC', 'DESC']).default('ASC'),
    page: z.coerce.number().int().min(1).max(10_000).default(1),
    limit: z.coerce.number().int().min(1).max(100).default(100),
    /** Older clients ask for what is always so. */
    sort: z.string().max(20).optional(),
    chatType: z.string().max(50).optional(),
    memoryType: z.string().max(100).optional(),
    feedback: z.string().max(10).optional(),
  })
  .refine(({ chatId, sessionId }) => chatId !== undefined || sessionId !== undefined, {
    path: ['chatId'],
    message: 'must name a conversation',
  });

const Extra = z.unknown().nullable();

export const readFlowiseMessages = operation({
  id: 'readFlowiseMessages',
  method: 'GET',
  path: '/api/v1/chatmessage/:id',
  summary: 'The newest messages of an own conversation, oldest first; an unknown one is empty',
  permission: 'chat:use',
  params: chatflowParams,
  query: chatQuery,
  dialect: 'flowise',
  result: z.array(
    z.object({
      id: z.string(),
      role: z.enum(['userMessage', 'apiMessage']),
      chatflowid: ChatflowId,
      content: z.string(),
      chatType: z.literal('EXTERNAL'),
      chatId: z.string(),
      sessionId: z.string(),
      memoryType: z.string().nullable(),
      createdDate: Timestamp,
      sourceDocuments: Extra,
      usedTools: Extra,
      fileAnnotations: Extra,
      agentReasoning: Extra,
      artifacts: Extra,
      action: Extra,
      followUpPrompts: z.string().nullable(),
    }),
  ),
});

export const deleteFlowiseMessages = operation({
  id: 'deleteFlowiseMessages',
  method: 'DELETE',
  path: '/api/v1/chatmessage/:id',
  summary: 'Delete an own conversation, here and at the upstream',
  permission: 'chat:use',
  params: chatflowParams,
  query: chatQuery,
  dialect: 'flowise',
  result: z.object({ raw: z.array(z.never()), affected: z.int() }),
});

const Rating = z.enum(['THUMBS_UP', 'THUMBS_DOWN']);
const Comment = textOf({ max: LONGEST_COMMENT });

const Feedback = z.object({
  id: Uuid,
  chatflowid: ChatflowId,
  chatId: z.string(),
  messageId: z.string(),
  rating: Rating,
  content: z.string(),
  createdDate: Timestamp,
});

export const giveFlowiseFeedback = operation({
  id: 'giveFlowiseFeedback',
  method: 'POST',
  path: '/api/v1/feedback/:id',
  summary: 'Rate an answer of an own conversation; a second rating of the same answer replaces the first',
  permission: 'chat:use',
  params: chatflowParams,
  body: z.strictObject({
    chatflowid: z.string().max(200).nullish(),
    chatId: ChatLabel,
    messageId: Uuid,
    rating: Rating,
    content: Comment.nullish(),
  }),
  dialect: 'flowise',
  result: Feedback,
  errors: ['NOT_FOUND'],
});

export const changeFlowiseFeedback = operation({
  id: 'changeFlowiseFeedback',
  method: 'PUT',
  path: '/api/v1/feedback/:id',
  summary: 'Change an own rating, or add words to it',
  permission: 'chat:use',
  params: z.strictObject({ id: Uuid }),
  body: z.strictObject({
    chatflowid: z.string().max(200).nullish(),
    chatId: z.string().max(200).nullish(),
    messageId: z.string().max(200).nullish(),
    rating: Rating.nullish(),
    content: Comment.nullish(),
  }),
  dialect: 'flowise',
  result: Feedback,
  errors: ['NOT_FOUND'],
});

/** Chat windows send it without credentials, so that it is for public chatflows, and for little. */
const lead = {
  method: 'POST',
  summary: 'Leave a name and an address in a conversation',
  permission: 'public',
  callerPermission: 'chat:use',
  body: z.strictObject({
    chatflowid: ChatflowId,
    chatId: ChatLabel,
    name: trimmedTextOf({ max: 200 }).nullish(),
    email: trimmedTextOf({ max: 254 }).nullish(),
    phone: trimmedTextOf({ max: 50 }).nullish(),
  }),
  dialect: 'flowise',
  result: z.object({
    id: Uuid,
    chatflowid: ChatflowId,
    chatId: z.string(),
    name: z.string().nullable(),
    email: z.string().nullable(),
    phone: z.string().nullable(),
    createdDate: Timestamp,
  }),
  errors: ['UNAUTHENTICATED', 'NOT_FOUND', 'ORIGIN_NOT_ALLOWED', 'RATE_LIMITED'],
} as const;

export const leaveFlowiseLead = operation({ ...lead, id: 'leaveFlowiseLead', path: '/api/v1/leads' });
/** As flowise-embed spells it. */
export const leaveFlowiseLeadSlash = operation({ ...lead, id: 'leaveFlowiseLeadSlash', path: '/api/v1/leads/' });
