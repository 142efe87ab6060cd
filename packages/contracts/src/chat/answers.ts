import { z } from 'zod';
import { Credits } from '../credits.ts';
import { ChatflowId, FileId, HoldId, SessionId } from '../ids.ts';
import { operation, withAliases } from '../operation.ts';
import { textOf, trimmedTextOf } from '../text.ts';

const LONGEST_QUESTION = 100_000;
const LONGEST_TURN = 100_000;
const MOST_TURNS = 100;
const MOST_UPLOADS = 10;
/** Base64 of 10 MiB, with the head of a data URL. */
const LONGEST_UPLOAD = 14_000_000;
/** Bytes of a chat request: one file of 10 MiB as base64, the question and the history. */
export const CHAT_BODY_BYTES = 15 * 1024 * 1024;

export const Question = trimmedTextOf({ min: 1, max: LONGEST_QUESTION });

/** One earlier message as Flowise names it, or in the spelling of older clients (`message`, `type`). */
export const Turn = withAliases(
  z.strictObject({
    role: z.enum(['apiMessage', 'userMessage', 'assistant', 'user']),
    content: textOf({ max: LONGEST_TURN }),
  }),
  { message: 'content', type: 'role' },
);

/** A file inside a chat request: raw base64 or a data URL; what it is, is told by its bytes. */
export const Upload = z.strictObject({
  data: z.string().min(1).max(LONGEST_UPLOAD),
  type: z.enum(['file', 'file:full', 'file:rag', 'audio']).default('file'),
  name: trimmedTextOf({ min: 1, max: 255 }),
  mime: trimmedTextOf({ min: 1, max: 127 }),
});
export type Upload = z.infer<typeof Upload>;

/** A file that was sent before, by its id. */
const EarlierUpload = z.strictObject({ file_id: FileId, type: Upload.shape.type });

const ChatBody = withAliases(
  z.strictObject({
    question: Question,
    chatflow_id: ChatflowId,
    /** A UUID, or empty for a new conversation. */
    sessionId: z.string().max(200).nullish(),
    history: z.array(Turn).max(MOST_TURNS).nullish(),
    uploads: z
      .array(z.union([Upload, EarlierUpload]))
      .max(MOST_UPLOADS)
      .nullish(),
    /**
     * Only what the administrator has allowed for the chatflow; anything else is refused. For a model also `max_tokens`
     * (or `max_completion_tokens`), which only ever lowers the operator's limit.
     */
    overrideConfig: z.record(z.string().max(100), z.json()).nullish(),
  }),
  { session_id: 'sessionId', chatflowId: 'chatflow_id', override_config: 'overrideConfig' },
);

/** What an answer cost, as the `usage` event and as metadata of an answer in one piece. */
export const AnswerUsage = z.object({
  credits: Credits,
  remaining_credits: Credits,
  input_tokens: z.int().min(0),
  output_tokens: z.int().min(0),
  /** Parts of the two above, when the upstream tells: read from its cache, and thought before the answer. */
  cached_tokens: z.int().min(0).optional(),
  reasoning_tokens: z.int().min(0).optional(),
  /** Our own count, because the upstream gave none (or none that can be believed). */
  estimated: z.boolean(),
  request_id: HoldId,
  /** The balance allowed only a shorter answer than usual: at most so many output tokens. */
  clamped_to: z.int().min(1).optional(),
  /** The answer to an earlier request with the same Idempotency-Key: it was charged then, and is not charged again. */
  replayed: z.literal(true).optional(),
});
export type AnswerUsage = z.infer<typeof AnswerUsage>;

export const BEFORE_THE_FIRST_BYTE = [
  'CHATFLOW_ACCESS_DENIED',
  'ORIGIN_NOT_ALLOWED',
  'INSUFFICIENT_CREDITS',
  'MODEL_NOT_PRICED',
  'BUDGET_EXCEEDED',
  'PARALLEL_LIMIT',
  'ACCOUNT_DISABLED',
  'KEY_REVOKED',
  'NOT_FOUND',
  'SESSION_BUSY',
  'FILE_QUOTA_EXCEEDED',
  'RATE_LIMITED',
  'UPSTREAM_FAILED',
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_PROTOCOL_ERROR',
  'UPSTREAM_INTERRUPTED',
  'UPSTREAM_TIMEOUT',
  'ACCOUNTING_UNAVAILABLE',
  'DEPENDENCY_UNAVAILABLE',
  'SERVER_SHUTDOWN',
  'ANSWER_STOPPED',
  'ANSWER_NOT_KEPT',
  'IDEMPOTENCY_IN_PROGRESS',
  'IDEMPOTENCY_KEY_REUSED',
] as const;

export const predict = operation({
  id: 'predict',
  method: 'POST',
  path: '/api/v1/chat/predict',
  summary: 'Ask a chatflow and get the answer in one piece; keeps no history',
  permission: 'chat:use',
  body: ChatBody,
  bodyLimit: CHAT_BODY_BYTES,
  answers: true,
  idempotencyKey: 'optional',
  result: z.object({
    response: z.string(),
    metadata: z.object({
      chatflow_id: ChatflowId,
      cost: Credits,
      remaining_credits: Credits,
      session_id: SessionId,
      user: z.string(),
      usage: AnswerUsage,
      request_id: HoldId,
      streaming: z.literal(false),
    }),
  }),
  errors: BEFORE_THE_FIRST_BYTE,
});

/** One line of a streamed answer. `data:` of an SSE frame or a line of NDJSON. */
export const ChatEvent = z.looseObject({ event: z.string(), data: z.unknown() });
export type ChatEvent = z.infer<typeof ChatEvent>;

export const predictStream = operation({
  id: 'predictStream',
  method: 'POST',
  path: '/api/v1/chat/predict/stream',
  summary: 'Ask a chatflow and get the answer as events; keeps no history',
  permission: 'chat:use',
  body: ChatBody,
  bodyLimit: CHAT_BODY_BYTES,
  answers: true,
  idempotencyKey: 'optional',
  result: ChatEvent,
  streams: true,
  errors: BEFORE_THE_FIRST_BYTE,
});

export const predictStreamStore = operation({
  id: 'predictStreamStore',
  method: 'POST',
  path: '/api/v1/chat/predict/stream/store',
  summary: 'Ask a chatflow and get the answer as events; both messages go into the history of the session',
  permission: 'chat:use',
  body: ChatBody,
  bodyLimit: CHAT_BODY_BYTES,
  answers: true,
  idempotencyKey: 'optional',
  result: ChatEvent,
  streams: true,
  errors: BEFORE_THE_FIRST_BYTE,
});

export const readOwnCredits = operation({
  id: 'readOwnCredits',
  method: 'GET',
  path: '/api/v1/chat/credits',
  summary: 'Own balance, as accounting has it',
  permission: 'chat:use',
  result: z.object({ credits: Credits, totalCredits: Credits }),
  errors: ['ACCOUNTING_UNAVAILABLE'],
});
