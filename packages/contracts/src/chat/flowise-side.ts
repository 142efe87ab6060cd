import { z } from 'zod';
import { ChatflowId, Uuid } from '../ids.ts';
import { operation } from '../operation.ts';
import { chatflowParams } from './chatflows.ts';
import { ChatLabel } from './flowise.ts';
import { trimmedTextOf } from '../text.ts';

const FILE_BYTES = 10 * 1024 * 1024;
const MOST_FILES = 5;
const FORM_BYTES = 25 * 1024 * 1024;
const LONGEST_SPEECH = 5000;

const FROM_FLOWISE = [
  'CHATFLOW_ACCESS_DENIED',
  'NOT_FOUND',
  'ORIGIN_NOT_ALLOWED',
  'UPSTREAM_FAILED',
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_PROTOCOL_ERROR',
  'UPSTREAM_INTERRUPTED',
  'UPSTREAM_TIMEOUT',
] as const;

export const attachFlowiseFiles = operation({
  id: 'attachFlowiseFiles',
  method: 'POST',
  path: '/api/v1/attachments/:id/:chatId',
  summary: 'Take the text out of files, to be sent with a question as uploads of type file:full; keeps nothing',
  permission: 'chat:use',
  params: z.strictObject({ id: ChatflowId, chatId: ChatLabel }),
  multipart: { files: 'files', mostFiles: MOST_FILES, fileBytes: FILE_BYTES },
  bodyLimit: FORM_BYTES,
  body: z.strictObject({ chatId: z.string().max(200).optional() }),
  answers: true,
  dialect: 'flowise',
  result: z.array(z.object({ name: z.string(), mimeType: z.string(), size: z.int().min(0), content: z.string() })),
  errors: [...FROM_FLOWISE, 'UNSUPPORTED_MEDIA_TYPE', 'BODY_TOO_LARGE', 'RATE_LIMITED'],
});

export const upsertFlowiseVectors = operation({
  id: 'upsertFlowiseVectors',
  method: 'POST',
  path: '/api/v1/vector/upsert/:id',
  summary: 'Feed the document store of a chatflow; for administrators and their keys, and not charged',
  permission: 'vectors:write',
  params: chatflowParams,
  multipart: { files: 'files', mostFiles: MOST_FILES, fileBytes: FILE_BYTES, orJson: true },
  bodyLimit: FORM_BYTES,
  body: z.strictObject({ chatId: z.string().max(200).optional(), stopNodeId: z.string().max(200).optional() }),
  dialect: 'flowise',
  result: z.record(z.string(), z.number()),
  errors: [...FROM_FLOWISE, 'UNSUPPORTED_MEDIA_TYPE', 'BODY_TOO_LARGE'],
});

export const readFlowiseUpload = operation({
  id: 'readFlowiseUpload',
  method: 'GET',
  path: '/api/v1/get-upload-file',
  summary: 'A file of an own conversation, by its name; pictures are shown, everything else is an attachment',
  permission: 'chat:use',
  query: z.strictObject({
    chatflowId: ChatflowId,
    chatId: ChatLabel,
    fileName: z.string().min(1).max(255),
    download: z.enum(['true', 'false', '1', '0']).optional(),
  }),
  dialect: 'flowise',
  alsoStatus: [206],
  result: z.unknown(),
  bytesAs: ['application/octet-stream', 'application/pdf', 'audio/*', 'image/*', 'text/*'],
  errors: [...FROM_FLOWISE, 'RANGE_NOT_SATISFIABLE'],
});

/** The answer that is read aloud. Voice, provider and credential are the flow's own. */
const Spoken = z.strictObject({ chatflowId: ChatflowId, chatId: ChatLabel, chatMessageId: Uuid });

export const speakFlowiseAnswer = operation({
  id: 'speakFlowiseAnswer',
  method: 'POST',
  path: '/api/v1/text-to-speech/generate',
  summary: 'Read an own answer aloud; costs what an answer of this text costs at this chatflow',
  permission: 'chat:use',
  body: Spoken.extend({ text: trimmedTextOf({ min: 1, max: LONGEST_SPEECH }) }),
  answers: true,
  dialect: 'flowise',
  result: z.unknown(),
  bytesAs: ['text/event-stream'],
  errors: [
    ...FROM_FLOWISE,
    'INSUFFICIENT_CREDITS',
    'MODEL_NOT_PRICED',
    'BUDGET_EXCEEDED',
    'RATE_LIMITED',
    'PARALLEL_LIMIT',
    'ACCOUNTING_UNAVAILABLE',
  ],
});

export const stopFlowiseSpeech = operation({
  id: 'stopFlowiseSpeech',
  method: 'POST',
  path: '/api/v1/text-to-speech/abort',
  summary: 'Says only that it was heard: speech ends when its reader hangs up, as chat windows do',
  permission: 'chat:use',
  body: Spoken.extend({ chatMessageId: z.string().max(200) }),
  dialect: 'flowise',
  result: z.object({ message: z.string() }),
});
