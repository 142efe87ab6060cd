import { createHash } from 'node:crypto';
import type { Sample } from './file-types.ts';

/** The beginning of a picture with its measures, and the directory of an archive with many entries. */
const KEPT_BYTES = 256 * 1024;

/** Looks at a file that passes by: keeps its ends, its size and its hash, and nothing else. */
export class Sampler {
  readonly #hash = createHash('sha256');
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  readonly #head: Uint8Array[] = [];
  #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #sizeBytes = 0;
  #isText = true;

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    const room = KEPT_BYTES - this.#sizeBytes;
    if (room > 0) this.#head.push(chunk.subarray(0, room));
    this.#sizeBytes += chunk.byteLength;
    this.#tail.push(chunk);
    this.#tailBytes += chunk.byteLength;
    // Not with every piece: they may be tiny, and many.
    if (this.#tailBytes > 2 * KEPT_BYTES) this.#cutTail();
    if (this.#isText) this.#isText = !chunk.includes(0) && this.#decodes(chunk);
  }

  /** When everything was added. */
  sample(): Sample {
    const isText = this.#isText && this.#decodes();
    const tail = this.#cutTail();
    return { head: Buffer.concat(this.#head), tail, sizeBytes: this.#sizeBytes, isText };
  }

  /** SHA-256 of everything, once. */
  hash(): Buffer {
    return this.#hash.digest();
  }

  #cutTail(): Buffer {
    const tail = Buffer.concat(this.#tail).subarray(-KEPT_BYTES);
    this.#tail = [tail];
    this.#tailBytes = tail.byteLength;
    return tail;
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
