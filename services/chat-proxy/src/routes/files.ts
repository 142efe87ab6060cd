import { chat } from '@tollgate/contracts';
import { AppError, type RequestContext, type Route, serve, stream, type StreamReply } from '@tollgate/http-kit';
import { rangeOf } from '../domain/files/byte-range.ts';
import { dispositionOf } from '../domain/files/file-name.ts';
import type { FileLinks } from '../domain/files/file-links.ts';
import { isPicture } from '../domain/files/file-types.ts';
import type { ReadFiles } from '../flows/files/read-files.ts';
import type { createUploadFile } from '../flows/files/upload-file.ts';
import type { StoredFile } from '../ports.ts';

export interface FileRouteFlows {
  readonly read: ReadFiles;
  readonly upload: ReturnType<typeof createUploadFile>;
  readonly links: FileLinks;
}

export const fileRoutes = ({ read, upload, links }: FileRouteFlows): Route[] => [
  serve(chat.uploadFile).with(async ({ body }, caller, { headers }) => {
    const file = await upload(caller, body, lengthOf(headers['content-length']));
    return { file_id: file.id, message: 'File uploaded successfully', file: fileView(file) };
  }),
  serve(chat.listSessionFiles).with(async ({ params: { sessionId } }, caller) => ({
    session_id: sessionId,
    files: (await read.list(caller, { sessionId })).map(fileView),
  })),
  serve(chat.listMessageFiles).with(async ({ params: { messageId } }, caller) => ({
    message_id: messageId,
    files: (await read.list(caller, { messageId })).map(fileView),
  })),
  serve(chat.readFile).with(async ({ params, query }, caller, context) =>
    bytesOf(read, await read.find(caller, params.fileId), { context, isDownload: query.download ?? false }),
  ),
  serve(chat.readThumbnail).with(async ({ params, query }, caller) => {
    const file = await read.find(caller, params.fileId);
    return pictureOf(await read.thumbnail(file, nearestSize(query.size)));
  }),
  serve(chat.readSignedFile).with(async ({ params: { fileId: id }, query }, _, context) => {
    // A link that is not good and a file that is not there look the same.
    if (!links.isGood({ ...query, id })) throw new AppError('NOT_FOUND', 'File not found');
    const file = await read.findLinked(id);
    const { variant } = query;
    const reply =
      variant === 'view' || variant === 'download'
        ? bytesOf(read, file, { context, isDownload: variant === 'download' })
        : pictureOf(await read.thumbnail(file, Number(variant)));
    // The page that shows the picture may be of another origin; whoever has the link may see it.
    const headers = { ...reply.headers, 'cross-origin-resource-policy': 'cross-origin' };
    return stream(reply.contentType, reply.chunks, { status: reply.status, headers });
  }),
  serve(chat.deleteFile).with(async ({ params: { fileId } }, caller) => {
    await read.remove(caller, fileId);
    return { message: 'File deleted successfully', file_id: fileId };
  }),
];

const LARGEST_THUMBNAIL = 800;

const nearestSize = (wanted: number): number =>
  chat.THUMBNAIL_SIZES.find((size) => size >= wanted) ?? LARGEST_THUMBNAIL;

const lengthOf = (header: string | undefined): number | undefined =>
  header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;

/** Nothing of a user is kept on the way, guessed at, or run by a browser. */
const GUARDS = {
  'cache-control': 'private, no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
};

export function bytesOf(
  read: ReadFiles,
  file: StoredFile,
  { context, isDownload }: { context: RequestContext; isDownload: boolean },
): StreamReply {
  const { range, 'if-range': condition } = context.headers;
  // Files have no validator that a condition could name.
  const wanted = condition === undefined ? rangeOf(range, file.sizeBytes) : 'whole';
  if (wanted === 'unsatisfiable') {
    throw new AppError('RANGE_NOT_SATISFIABLE', undefined, {
      headers: { 'content-range': `bytes */${file.sizeBytes}` },
    });
  }
  const part = wanted === 'whole' ? undefined : wanted;
  const length = part ? part.end - part.start : file.sizeBytes;
  return stream(typeOf(file.mime), read.bytes(file, part), {
    status: part ? 206 : 200,
    headers: {
      ...GUARDS,
      'accept-ranges': 'bytes',
      'content-length': String(length),
      'content-disposition': dispositionOf(isPicture(file.mime) && !isDownload ? 'inline' : 'attachment', file.name),
      ...(part && { 'content-range': `bytes ${part.start}-${part.end - 1}/${file.sizeBytes}` }),
    },
  });
}

/** A file that is not stored here. */
export const madeFile = (
  { bytes, mime, name }: { readonly bytes: Uint8Array; readonly mime: string; readonly name: string },
  isDownload: boolean,
): StreamReply =>
  stream(mime, once(bytes), {
    headers: {
      ...GUARDS,
      'content-length': String(bytes.byteLength),
      'content-disposition': dispositionOf(isPicture(mime) && !isDownload ? 'inline' : 'attachment', name),
    },
  });

const typeOf = (mime: string): string => (mime.startsWith('text/') ? `${mime}; charset=utf-8` : mime);

function pictureOf(bytes: Uint8Array): StreamReply {
  const headers = { ...GUARDS, 'content-length': String(bytes.byteLength), 'content-disposition': 'inline' };
  return stream('image/webp', once(bytes), { headers });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

const fileView = (file: StoredFile) => ({
  file_id: file.id,
  original_name: file.name,
  mime_type: file.mime,
  file_size: file.sizeBytes,
  upload_type: file.type,
  uploaded_at: file.uploadedAt.toISOString(),
  processed: true,
  metadata: file.picture ?? {},
  session_id: file.sessionId,
});

/** A file as the history shows it, with links that need no token. */
export function uploadView({ id, name, mime, sizeBytes, type, uploadedAt }: StoredFile, links: FileLinks) {
  const isImage = isPicture(mime);
  const thumbnail = (size: (typeof chat.THUMBNAIL_SIZES)[number]) => (isImage ? links.to(id, String(size)) : null);
  return {
    file_id: id,
    name,
    mime,
    size: sizeBytes,
    type,
    url: links.to(id, 'view'),
    download_url: links.to(id, 'download'),
    is_image: isImage,
    uploaded_at: uploadedAt.toISOString(),
    thumbnail_url: thumbnail(200),
    thumbnail_small: thumbnail(128),
    thumbnail_medium: thumbnail(400),
  };
}
