import type { IncomingMessage } from 'node:http';
import { FORM_SPARE_BYTES, type MultipartSpec, type OperationSpec } from '@tollgate/contracts';
import { AppError } from '../app-error.ts';
import { formOf, type OpenForm, readForm } from './form-body.ts';
import { parseJson } from './json.ts';
import { isJson } from './media-type.ts';

const BODY_LIMIT_BYTES = 65_536;

/**
 * The body of an operation's request: its bytes where the operation wants them raw, else parsed (see parseJson). Undefined when
 * it is empty, or when the operation has none: it is then left unread. A form is read while its handler asks for it.
 * Both frameworks read bodies by this function, so that they cannot disagree.
 */
export async function bodyOf(operation: OperationSpec, request: IncomingMessage): Promise<unknown> {
  if (operation.multipart) return openForm(operation.multipart, request, operation.bodyLimit);
  if (!operation.body) return undefined;
  const bytes = await readBody(request, operation.bodyLimit ?? BODY_LIMIT_BYTES);
  return bytes === undefined || operation.rawBody ? bytes : parseJson(bytes);
}

async function openForm(
  spec: MultipartSpec,
  request: IncomingMessage,
  limitBytes = spec.mostFiles * spec.fileBytes + FORM_SPARE_BYTES,
): Promise<OpenForm> {
  if (!spec.orJson || !isJson(request.headers['content-type'])) return readForm(spec, request, limitBytes);
  const bytes = await readBody(request, BODY_LIMIT_BYTES);
  return formOf(bytes === undefined ? {} : parseJson(bytes));
}

/** Throws UNSUPPORTED_MEDIA_TYPE, or BODY_TOO_LARGE before buffering more than `limitBytes`. */
async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer | undefined> {
  const declaredBytes = Number(request.headers['content-length'] ?? 0);
  if (request.headers['transfer-encoding'] === undefined && declaredBytes === 0) return undefined;
  if (!isJson(request.headers['content-type']) || request.headers['content-encoding'] !== undefined) {
    throw new AppError('UNSUPPORTED_MEDIA_TYPE');
  }
  if (declaredBytes > limitBytes) throw new AppError('BODY_TOO_LARGE');
  const bytes = await readBytes(request, limitBytes);
  return bytes.length === 0 ? undefined : bytes;
}

const passOver = (): void => undefined;

async function readBytes(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  if (request.readableEnded) return Buffer.alloc(0);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const chunks: Buffer[] = [];
  let size = 0;
  const take = (chunk: Buffer): void => {
    size += chunk.length;
    if (size <= limitBytes) chunks.push(chunk);
    else reject(new AppError('BODY_TOO_LARGE'));
  };
  let isWhole = false;
  const end = (): void => {
    isWhole = true;
    resolve();
  };
  const fail = (cause: Error = new Error('it was cut off')): void =>
    reject(new AppError('VALIDATION_FAILED', 'The body did not arrive', { cause }));
  // After its end a request closes, before anybody has noticed the end: no error is made for that.
  const close = (): void => {
    if (!isWhole) fail();
  };
  if (request.destroyed) fail(request.errored ?? undefined);
  request.on('data', take).once('end', end).once('error', fail).once('close', close);
  try {
    await promise;
    return Buffer.concat(chunks);
  } finally {
    // Somebody has to hear of a late error, and what hears of it keeps nothing of the body for as long as the answer takes.
    request.on('error', passOver).off('data', take).off('end', end).off('error', fail).off('close', close);
    // Destroying the request would take the connection away from the answer: what else comes is let pass.
    request.resume();
  }
}
