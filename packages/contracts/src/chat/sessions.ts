import { z } from 'zod';
import { Credits } from '../credits.ts';
import { ChatflowId, SessionId, Timestamp, UserId } from '../ids.ts';
import { operation, PageQuery, withAliases } from '../operation.ts';

const sessionParams = z.strictObject({ sessionId: SessionId });
const Page = PageQuery.extend({ limit: PageQuery.shape.limit.unwrap().default(100) });

const LONGEST_TITLE = 200;
const isText = (text: string): boolean => text.isWellFormed() && !/\p{Cc}/u.test(text);

const SessionLine = z.object({
  session_id: SessionId,
  chatflow_id: ChatflowId,
  /** Its title: the first line of the first question, until it is renamed. */
  topic: z.string(),
  created_at: Timestamp,
  first_message: z.string(),
});

/** A search goes through the texts of up to 1000 conversations and takes at most some seconds; then `next_cursor` goes on. */
export const listSessions = operation({
  id: 'listSessions',
  method: 'GET',
  path: '/api/v1/chat/sessions',
  summary:
    'Own conversations, the one used last first; with `q` those whose title or messages contain it. A search reads every message of up to 1000 conversations and stops after 3 s: then a page is short, or empty, and `next_cursor` goes on',
  permission: 'chat:use',
  query: Page.extend({
    /** Taken letter by letter, in any case. */
    q: z.string().trim().min(1).max(LONGEST_TITLE).refine(isText, 'must be well-formed text of one line').optional(),
    chatflow_id: ChatflowId.optional(),
  }),
  result: z.object({ sessions: z.array(SessionLine), count: z.int(), next_cursor: z.string().nullable() }),
  errors: ['RATE_LIMITED'],
});

export const renameSession = operation({
  id: 'renameSession',
  method: 'PATCH',
  path: '/api/v1/chat/sessions/:sessionId',
  summary: 'Give an own conversation another title',
  permission: 'chat:use',
  params: sessionParams,
  body: withAliases(
    z.strictObject({
      title: z.string().trim().min(1).max(LONGEST_TITLE).refine(isText, 'must be well-formed text of one line'),
    }),
    { topic: 'title' },
  ),
  result: SessionLine,
  errors: ['NOT_FOUND'],
});

/** A file of a message, with the addresses it can be read at. */
const StoredUpload = z.object({
  file_id: z.string(),
  name: z.string(),
  mime: z.string(),
  size: z.int(),
  type: z.string(),
  url: z.string(),
  download_url: z.string(),
  is_image: z.boolean(),
  uploaded_at: Timestamp,
  thumbnail_url: z.string().nullable(),
  thumbnail_small: z.string().nullable(),
  thumbnail_medium: z.string().nullable(),
});

export const MESSAGE_STATUSES = ['completed', 'failed', 'aborted'] as const;

export const HistoryMessage = z.object({
  id: z.string(),
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  created_at: Timestamp,
  session_id: SessionId,
  file_ids: z.array(z.string()),
  has_files: z.boolean(),
  uploads: z.array(StoredUpload),
  status: z.enum(MESSAGE_STATUSES),
  /** What the answer cost, and the request it was; null for a question. */
  credits: Credits.nullable(),
  usage: z.object({ input_tokens: z.int(), output_tokens: z.int(), estimated: z.boolean() }).nullable(),
  request_id: z.string().nullable(),
  /** The events of the answer beside its text. */
  events: z.array(z.looseObject({ event: z.string(), data: z.unknown() })),
});

export const readHistory = operation({
  id: 'readHistory',
  method: 'GET',
  path: '/api/v1/chat/sessions/:sessionId/history',
  summary: 'The newest messages of an own conversation, oldest first; `next_cursor` leads to earlier ones',
  permission: 'chat:use',
  params: sessionParams,
  query: Page,
  result: z.object({ history: z.array(HistoryMessage), count: z.int(), next_cursor: z.string().nullable() }),
  errors: ['NOT_FOUND'],
});

const ExportedSession = SessionLine.omit({ first_message: true }).extend({
  last_used_at: Timestamp,
  messages: z.array(HistoryMessage),
});

export const exportSession = operation({
  id: 'exportSession',
  method: 'GET',
  path: '/api/v1/chat/sessions/:sessionId/export',
  summary: 'An own conversation from its beginning, as a file',
  permission: 'chat:use',
  params: sessionParams,
  query: z.strictObject({ format: z.enum(['json', 'markdown']).default('json') }),
  result: ExportedSession,
  alsoAs: ['text/markdown'],
  errors: ['NOT_FOUND'],
});

/** As NDJSON: for each conversation a line with its head, then a line for each of its messages, which names it. */
export const exportSessions = operation({
  id: 'exportSessions',
  method: 'GET',
  path: '/api/v1/chat/export',
  summary: 'All own conversations with stored messages, the one used last first, as a file',
  permission: 'chat:use',
  query: z.strictObject({ format: z.enum(['ndjson', 'json']).default('ndjson') }),
  result: z.object({ conversations: z.array(ExportedSession) }),
  alsoAs: ['application/x-ndjson'],
});

export const deleteSession = operation({
  id: 'deleteSession',
  method: 'DELETE',
  path: '/api/v1/chat/sessions/:sessionId',
  summary: 'Delete an own conversation, here and at the upstream',
  permission: 'chat:use',
  params: sessionParams,
  result: z.object({ message: z.string(), session_id: SessionId, messages_deleted: z.int(), user_id: UserId }),
  errors: ['NOT_FOUND'],
});

export const deleteHistory = operation({
  id: 'deleteHistory',
  method: 'DELETE',
  path: '/api/v1/chat/history',
  summary: 'Delete all own conversations, here and at the upstream',
  permission: 'chat:use',
  result: z.object({
    message: z.string(),
    sessions_deleted: z.int(),
    messages_deleted: z.int(),
    user_id: UserId,
  }),
});
