import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import type { Form, FormFile, MultipartSpec } from '@tollgate/contracts';
import { AppError } from '../app-error.ts';
import { toAppError } from '../problem.ts';
import { isForm } from './media-type.ts';

const MOST_FIELDS = 32;
const FIELD_BYTES = 65_536;
const NAME_LENGTH = 100;
const HEADER_PAIRS = 16;
const HEADER_BYTES = 8192;

/** A form whose fields are not yet judged. */
export interface OpenForm extends Form<Readonly<Record<string, unknown>>> {
  /** Nobody reads on: what is still to come is thrown away. */
  close(): void;
}

/** A form without files. */
export const formOf = (fields: unknown): OpenForm => ({
  async *files() {},
  fields: async () => fields as Readonly<Record<string, unknown>>, // judged by the contract's schema
  close: () => undefined,
});

/**
 * Reads a form while its reader asks for it: no more is taken from the connection than fits into the parser's buffers.
 * Throws UNSUPPORTED_MEDIA_TYPE and BODY_TOO_LARGE at once where the headers tell; the reader gets the faults of the rest.
 */
export function readForm(spec: MultipartSpec, request: IncomingMessage, limitBytes: number): OpenForm {
  const { headers } = request;
  if (!isForm(headers['content-type']) || headers['content-encoding'] !== undefined) {
    throw new AppError('UNSUPPORTED_MEDIA_TYPE');
  }
  if (Number(headers['content-length'] ?? 0) > limitBytes) throw new AppError('BODY_TOO_LARGE');
  const parser = parserFor(spec, request);
  const form = createArrivals();
  const fields = new Map<string, string>();

  parser.on('file', (...[field, stream, name, , mime]) => {
    stream.on('error', () => undefined); // its reader learns it; without one nobody has to
    stream.on('limit', () =>
      form.end(new AppError('BODY_TOO_LARGE', `A file may have ${spec.fileBytes} bytes at most`)),
    );
    if (field !== spec.files) return form.end(invalid(nameOf(field), 'takes no file'));
    form.add({ stream, name: name ?? '', mime });
  });
  parser.on('field', (field, value, _nameTruncated, isTruncated) => {
    if (isTruncated) return form.end(new AppError('BODY_TOO_LARGE', `A field may have ${FIELD_BYTES} bytes at most`));
    if (fields.has(field)) return form.end(invalid(nameOf(field), 'must come once'));
    if (nameOf(field) !== field || field === '__proto__') return form.end(invalid('', 'a field has no usable name'));
    fields.set(field, value);
  });
  parser.on('filesLimit', () => form.end(invalid(spec.files, `must be ${spec.mostFiles} files at most`)));
  for (const limit of ['partsLimit', 'fieldsLimit'] as const)
    parser.on(limit, () => form.end(invalid('', `the form has more than ${MOST_FIELDS} fields`)));
  parser.on('error', () => form.end(incomplete()));
  parser.on('finish', () => form.end());
  void feed(parser, request, { limitBytes, closed: form.closed }).catch((error: unknown) =>
    form.end(toAppError(error)),
  );

  return {
    files: () => form.files(),
    async fields() {
      for await (const file of form.files()) void file;
      return Object.fromEntries(fields);
    },
    close: () => form.end(new AppError('INTERNAL', 'The form was closed')),
  };
}

function parserFor({ mostFiles, fileBytes }: MultipartSpec, { headers }: IncomingMessage): BusboyInstance {
  const limits = {
    fieldSize: FIELD_BYTES,
    fields: MOST_FIELDS,
    files: mostFiles,
    fileSize: fileBytes,
    parts: MOST_FIELDS + mostFiles + 1,
    headerPairs: HEADER_PAIRS,
    headerSize: HEADER_BYTES,
  };
  try {
    return new Busboy({ headers: headers as BusboyHeaders, limits });
  } catch {
    throw invalid('', 'the form has no boundary');
  }
}

async function feed(
  parser: BusboyInstance,
  request: IncomingMessage,
  { limitBytes, closed }: { limitBytes: number; closed: Promise<false> },
): Promise<void> {
  let size = 0;
  try {
    // Destroying the request would take the connection away from the answer.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limitBytes) throw new AppError('BODY_TOO_LARGE');
      if (!(await Promise.race([taken(parser, chunk), closed]))) return;
    }
  } catch (error) {
    throw error instanceof AppError
      ? error
      : new AppError('VALIDATION_FAILED', 'The body did not arrive', { cause: error });
  } finally {
    request.resume(); // what nobody wants must not keep the client from reading the answer
  }
  parser.end();
}

/** Whether the parser wants more; it waits for whoever reads the file that is arriving. */
const taken = (parser: BusboyInstance, chunk: Buffer): Promise<true> =>
  new Promise((resolve, reject) => parser.write(chunk, (error) => (error ? reject(error) : resolve(true))));

interface Arrived {
  readonly stream: Readable;
  readonly name: string;
  readonly mime: string;
}

/** The files of a form between the parser and their reader. */
function createArrivals() {
  const waiting: Arrived[] = [];
  const begun = new Set<Readable>();
  const closed = Promise.withResolvers<false>();
  let news = Promise.withResolvers<void>();
  let end: { readonly error: Error | undefined } | undefined;
  const tell = (): void => {
    news.resolve();
    news = Promise.withResolvers();
  };

  async function* files(): AsyncGenerator<FormFile, void, undefined> {
    for (;;) {
      const file = waiting.shift();
      if (file) {
        yield { name: file.name, mime: file.mime, chunks: chunksOf(file.stream) };
        file.stream.resume();
        begun.delete(file.stream);
      } else if (end) {
        if (end.error) throw end.error;
        return;
      } else await news.promise;
    }
  }

  return {
    files,
    closed: closed.promise,
    add(file: Arrived): void {
      begun.add(file.stream);
      waiting.push(file);
      tell();
    },
    end(error?: Error): void {
      if (end) return;
      end = { error };
      closed.resolve(false);
      // A file that will never be whole must fail in the hands of its reader.
      if (error) for (const stream of begun) stream.destroy(error);
      tell();
    },
  };
}

async function* chunksOf(stream: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    // Who stops reading a file may still want the rest of the form.
    yield* stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw error instanceof AppError ? error : incomplete();
  }
}

const nameOf = (field: string | undefined): string => (field ?? '').slice(0, NAME_LENGTH);

const invalid = (path: string, message: string): AppError =>
  new AppError('VALIDATION_FAILED', undefined, { errors: [{ path, message }] });

const incomplete = (): AppError => invalid('', 'the body is no complete form');
