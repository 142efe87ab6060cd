import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Duplex, type Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';

/** A file of a backup, as its manifest tells of it. */
export const StoredFile = z.strictObject({
  path: z.string().regex(/^[\w.-]{1,200}(\/[\w.-]{1,200})?$/),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type StoredFile = z.output<typeof StoredFile>;

/** Where a backup lies, its name, and the key that its files are encrypted with. */
export interface Store {
  readonly folder: string;
  readonly id: string;
  readonly key: string | undefined;
}

/** Where bytes come from, and what they pass on their way. */
type Source = readonly [Readable | AsyncIterable<Uint8Array>, ...Duplex[]];

/** What a list of streams is for `pipeline`, whose types know only a fixed number of them. */
type Steps = readonly (NodeJS.ReadableStream | NodeJS.WritableStream | NodeJS.ReadWriteStream)[];

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const TAG_BYTES = 16;
const PIECE_BYTES = 1_048_576;

/** Writes a stream into a new file that only its owner may read, encrypted when there is a key. */
export async function writeStored({ folder, id, key }: Store, path: string, source: Source): Promise<StoredFile> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const digest = createHash('sha256');
  let bytes = 0;
  const counted = new Transform({
    transform(piece: Buffer, _encoding, done) {
      digest.update(piece);
      bytes += piece.byteLength;
      done(null, piece);
    },
  });
  const sealed = key === undefined ? [] : [inPieces(PIECE_BYTES), sealing(keyOf(key, id, path))];
  const target = createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true });
  await pipeline([...source, ...sealed, counted, target] as Steps);
  return { path, bytes, sha256: digest.digest('hex') };
}

/** Whether a file is as it was written. */
export async function isIntact({ folder }: Store, { path, bytes, sha256 }: StoredFile): Promise<boolean> {
  const digest = createHash('sha256');
  let found = 0;
  try {
    for await (const piece of createReadStream(join(folder, path))) {
      digest.update(piece as Buffer);
      found += (piece as Buffer).byteLength;
    }
  } catch (error) {
    if (Object(error).code === 'ENOENT') return false;
    throw error;
  }
  return found === bytes && digest.digest('hex') === sha256;
}

/** Gives the contents to `use`, decrypted; fails when they are not what was written, also in the middle. */
export async function readStored(
  { folder, id, key }: Store,
  path: string,
  use: (pieces: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const opened = key === undefined ? [] : [inPieces(PIECE_BYTES + TAG_BYTES), opening(keyOf(key, id, path))];
  await pipeline([createReadStream(join(folder, path)), ...opened, use] as unknown as Steps);
}

/** A key for each file of each backup, so that no file passes for another and a nonce may count from zero. */
const keyOf = (key: string, id: string, path: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, '', `tollgate backup\0${id}\0${path}`, KEY_BYTES));

/** Cuts a stream into pieces of one size; the last one is shorter, and may be empty. */
function inPieces(size: number): Transform {
  let held: Buffer[] = [];
  let bytes = 0;
  return new Transform({
    readableObjectMode: true,
    transform(piece: Buffer, _encoding, done) {
      held.push(piece);
      bytes += piece.byteLength;
      if (bytes < size) return done();
      let rest = Buffer.concat(held);
      for (; rest.byteLength >= size; rest = rest.subarray(size)) this.push(rest.subarray(0, size));
      held = [rest];
      bytes = rest.byteLength;
      return done();
    },
    flush(done) {
      this.push(Buffer.concat(held));
      done();
    },
  });
}

/** A nonce says which piece it is and whether it is the last, so that none can be dropped, doubled or moved (STREAM, Hoang and others 2015). */
function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index, 7);
  nonce.writeUInt8(isLast ? 1 : 0, 11);
  return nonce;
}

function sealing(key: Buffer): Transform {
  return eachWithLast((piece, index, isLast) => {
    const cipher = createCipheriv(CIPHER, key, nonceOf(index, isLast), { authTagLength: TAG_BYTES });
    return Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()]);
  });
}

function opening(key: Buffer): Transform {
  return eachWithLast((piece, index, isLast) => {
    if (piece.byteLength < TAG_BYTES) throw new Error('a file of the backup is cut off');
    const decipher = createDecipheriv(CIPHER, key, nonceOf(index, isLast), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(piece.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(piece.subarray(0, -TAG_BYTES)), decipher.final()]);
    } catch (error) {
      throw new Error('a file of the backup does not open with this BACKUP_KEY, or was changed', { cause: error });
    }
  });
}

/** Every piece, knowing whether another one follows. */
function eachWithLast(work: (piece: Buffer, index: number, isLast: boolean) => Buffer): Transform {
  let waiting: Buffer | undefined;
  let index = 0;
  const tried = (stream: Transform, isLast: boolean, done: TransformCallback): void => {
    try {
      if (waiting) stream.push(work(waiting, index, isLast));
      index += 1;
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  };
  return new Transform({
    writableObjectMode: true,
    transform(piece: Buffer, _encoding, done) {
      if (!waiting) {
        waiting = piece;
        return done();
      }
      return tried(this, false, (error) => {
        waiting = piece;
        done(error);
      });
    },
    flush(done) {
      tried(this, true, done);
    },
  });
}
