import { z } from 'zod';
import { FileId, SessionId, Timestamp, Uuid } from '../ids.ts';
import { operation, withAliases } from '../operation.ts';

/** Types of files that are known; each is told by its bytes. */
export const FILE_TYPES = [
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'application/pdf',
  'text/plain',
  'text/csv',
  'application/msword',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  'audio/webm',
  'audio/mpeg',
  'audio/wav',
  'audio/ogg',
  'audio/mp4',
] as const;
export type FileType = (typeof FILE_TYPES)[number];

const fileParams = z.strictObject({ fileId: FileId });
const FILE_BYTES = 10 * 1024 * 1024;
/** Widths and heights of thumbnails, in pixels; a wish between two of them gets the larger one. */
export const THUMBNAIL_SIZES = [64, 128, 200, 400, 800] as const;
const Size = z.coerce.number().int().min(1).max(4096);
const Yes = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1');

/** Bytes, which no schema describes. */
const Bytes = z.unknown();

/** A file of a user. */
export const StoredFile = z.object({
  file_id: FileId,
  original_name: z.string(),
  mime_type: z.string(),
  file_size: z.int(),
  upload_type: z.string(),
  uploaded_at: Timestamp,
  /** Whether its measures were looked at; also true for files that have none. */
  processed: z.boolean(),
  metadata: z.object({ width: z.int().optional(), height: z.int().optional() }),
  session_id: SessionId.nullable(),
});
export type StoredFile = z.infer<typeof StoredFile>;

export const uploadFile = operation({
  id: 'uploadFile',
  method: 'POST',
  path: '/api/v1/chat/upload',
  summary: 'Store a file, for a conversation of one’s own or for none yet',
  permission: 'chat:use',
  multipart: { files: 'file', mostFiles: 1, fileBytes: FILE_BYTES },
  /** A UUID of one’s own; empty: no conversation yet. */
  body: withAliases(z.strictObject({ session_id: z.union([SessionId, z.literal('')]).optional() }), {
    sessionId: 'session_id',
  }),
  result: z.object({ file_id: FileId, message: z.string(), file: StoredFile }),
  errors: ['UNSUPPORTED_MEDIA_TYPE', 'BODY_TOO_LARGE', 'FILE_QUOTA_EXCEEDED', 'STORAGE_FULL'],
});

export const listSessionFiles = operation({
  id: 'listSessionFiles',
  method: 'GET',
  path: '/api/v1/chat/files/session/:sessionId',
  summary: 'Own files of a conversation, oldest first',
  permission: 'chat:use',
  params: z.strictObject({ sessionId: SessionId }),
  result: z.object({ session_id: SessionId, files: z.array(StoredFile) }),
});

export const listMessageFiles = operation({
  id: 'listMessageFiles',
  method: 'GET',
  path: '/api/v1/chat/files/message/:messageId',
  summary: 'Own files of a message, oldest first',
  permission: 'chat:use',
  params: z.strictObject({ messageId: Uuid }),
  result: z.object({ message_id: z.string(), files: z.array(StoredFile) }),
});

export const readFile = operation({
  id: 'readFile',
  method: 'GET',
  path: '/api/v1/chat/files/:fileId',
  summary:
    'The bytes of an own file; a Range is answered with 206. Pictures are shown, everything else is an attachment',
  permission: 'chat:use',
  params: fileParams,
  query: z.strictObject({ download: Yes.optional() }),
  alsoStatus: [206],
  result: Bytes,
  bytesAs: FILE_TYPES,
  errors: ['NOT_FOUND', 'RANGE_NOT_SATISFIABLE'],
});

export const readThumbnail = operation({
  id: 'readThumbnail',
  method: 'GET',
  path: '/api/v1/chat/files/:fileId/thumbnail',
  summary: 'A small picture of an own picture, without what cameras write into it',
  permission: 'chat:use',
  params: fileParams,
  query: z.strictObject({ size: Size.default(200) }),
  result: Bytes,
  bytesAs: ['image/webp'],
  errors: ['NOT_FOUND', 'NO_THUMBNAIL'],
});

export const readSignedFile = operation({
  id: 'readSignedFile',
  method: 'GET',
  path: '/api/v1/chat/files/:fileId/signed',
  summary: 'What a link of the history leads to; it is valid for minutes, and needs no token',
  permission: 'public',
  params: fileParams,
  query: z.strictObject({
    /** `view`, `download`, or the size of a thumbnail. */
    variant: z.union([z.enum(['view', 'download']), z.enum(THUMBNAIL_SIZES.map(String) as [string])]),
    /** Seconds since 1970. */
    expires: z.coerce.number().int().min(0).max(9_999_999_999),
    signature: z.string().regex(/^[\w-]{43}$/, 'must be a signature'),
  }),
  alsoStatus: [206],
  result: Bytes,
  bytesAs: FILE_TYPES,
  errors: ['NOT_FOUND', 'RANGE_NOT_SATISFIABLE', 'NO_THUMBNAIL'],
});

export const deleteFile = operation({
  id: 'deleteFile',
  method: 'DELETE',
  path: '/api/v1/chat/files/:fileId',
  summary: 'Delete an own file; links to it end at once',
  permission: 'chat:use',
  params: fileParams,
  result: z.object({ message: z.string(), file_id: FileId }),
  errors: ['NOT_FOUND'],
});
