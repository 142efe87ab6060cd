import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const MASK = '[secret]';

/** A value that can be passed around but not printed: string, JSON and console show `[secret]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call it where it is used, not earlier. */
  reveal(): string {
    return this.#value;
  }

  /** Size in bytes as UTF-8, which is what counts for a key. */
  get byteLength(): number {
    return Buffer.byteLength(this.#value);
  }

  /** Whether both hold the same value, in a time that depends on the lengths alone. */
  equals(other: Secret): boolean {
    const [mine, theirs] = [Buffer.from(this.#value), Buffer.from(other.#value)];
    return mine.byteLength === theirs.byteLength && timingSafeEqual(mine, theirs);
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}
