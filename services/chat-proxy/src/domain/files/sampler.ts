import { createHash } from 'node:crypto';
import type { Sample } from './file-types.ts';

/** The beginning of a picture with its measures, and the directory of an archive with many entries. */
const KEPT_BYTES = 256 * 1024;

/** Looks at a file that passes by: keeps its ends, its size and its hash, and nothing else. */
export class Sampler {
  readonly #hash = createHash('sha256');
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #head: Buffer = Buffer.alloc(0);
  #tail: Buffer = Buffer.alloc(0);
  #sizeBytes = 0;
  #isText = true;

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#sizeBytes += chunk.byteLength;
    const room = KEPT_BYTES - this.#head.byteLength;
    if (room > 0) this.#head = Buffer.concat([this.#head, chunk.subarray(0, room)]);
    const last = chunk.subarray(-KEPT_BYTES);
    this.#tail = Buffer.concat([this.#tail.subarray(Math.min(0, last.byteLength - KEPT_BYTES)), last]).subarray(
      -KEPT_BYTES,
    );
    if (this.#isText) this.#isText = !chunk.includes(0) && this.#decodes(chunk);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** When everything was added. */
  sample(): Sample {
    const isText = this.#isText && this.#decodes();
    return { head: this.#head, tail: this.#tail, sizeBytes: this.#sizeBytes, isText };
  }

  /** SHA-256 of everything, once. */
  hash(): Buffer {
    return this.#hash.digest();
  }

  /** Without a chunk: whether the text ends with a whole character. */
  #decodes(chunk?: Uint8Array): boolean {
    try {
      this.#decoder.decode(chunk, { stream: chunk !== undefined });
      return true;
    } catch {
      return false;
    }
  }
}
