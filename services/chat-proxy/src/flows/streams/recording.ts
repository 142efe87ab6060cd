import { AppError } from '@tollgate/http-kit';
import type { Answer, AnswerEvent } from '../../domain/answer.ts';
import type { HoldId } from '../../domain/wire-types.ts';
import type { Owner } from '../../ports.ts';
import { bytesOf, KeptEvents, type Place } from './kept-events.ts';

/** An answer runs so far ahead of the fastest of its readers, in bytes. */
const MOST_AHEAD = 262_144;
const MOST_READERS = 8;

/** An answer while it is given and for some time after, for whoever reads it, again or from somewhere in between. */
export class Recording {
  readonly requestId: HoldId;
  readonly owner: Owner;
  /** Told of every change in what it holds. */
  readonly #grown: (bytes: number) => void;
  readonly #events = new KeptEvents();
  /** Bytes of everything that ever was in here. */
  #written = 0;
  #failure: AppError | undefined;
  #endedAt: number | undefined;
  /** Of readers that wait for the next event, and of whoever waits for them; most answers have neither. */
  #change: PromiseWithResolvers<void> | undefined;
  #readers: Set<{ read: number }> | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #watch: ((readers: number) => void) | undefined;

  constructor(requestId: HoldId, owner: Owner, grown: (bytes: number) => void) {
    this.requestId = requestId;
    this.owner = owner;
    this.#grown = grown;
  }

  add(...events: readonly AnswerEvent[]): void {
    const bytes = events.reduce((sum, event) => sum + this.#events.add(event), 0);
    this.#written += bytes;
    this.#grown(bytes);
    this.#wake();
  }

  /** Without a failure: the answer has come to its end. */
  end(now: number, failure?: AppError): void {
    if (this.#endedAt !== undefined) return;
    this.#endedAt = now;
    this.#failure = failure;
    this.#wake();
  }

  /** Forgets the oldest events until no more than that is left, but none that the fastest reader has not had. */
  shrink(mostBytes: number): void {
    this.#grown(-this.#events.shrink(mostBytes, this.#unread()));
  }

  get bytes(): number {
    return this.#events.bytes;
  }

  get endedAt(): number | undefined {
    return this.#endedAt;
  }

  get failure(): AppError | undefined {
    return this.#failure;
  }

  get hasBegun(): boolean {
    return this.#written > 0;
  }

  /** The last event's name. */
  get lastEvent(): string | undefined {
    return this.#events.lastEvent?.event;
  }

  /** Whether everything after that number is still here. */
  has(sequence: number): boolean {
    return sequence + 1 >= this.#events.first;
  }

  /** What came after that number; undefined when some of it has been forgotten. */
  after(sequence: number): AnswerEvent[] | undefined {
    if (!this.has(sequence)) return undefined;
    return this.#events.from(sequence + 1);
  }

  /** Told the number of readers whenever it changes. */
  watch(watch: (readers: number) => void): void {
    this.#watch = watch;
  }

  /** Resolves when a reader has caught up. Without readers there is nobody to wait for. */
  async room(): Promise<void> {
    while (this.#unread() > MOST_AHEAD) await (this.#room ??= Promise.withResolvers()).promise;
  }

  /** Reads on from after that number until the answer ends, or throws as the answer did. Counts as a reader from now on. */
  read(after: number, signal: AbortSignal): Answer {
    const readers = (this.#readers ??= new Set());
    if (readers.size >= MOST_READERS) throw new AppError('PARALLEL_LIMIT', 'This answer has too many readers');
    // Whoever claims to have had more would be waited for in vain.
    const sequence = Math.min(after, this.#events.last);
    const unread = (this.after(sequence) ?? []).reduce((sum, event) => sum + bytesOf(event), 0);
    const reader = { read: this.#written - unread };
    const wake = (): void => this.#wake();
    readers.add(reader);
    this.#watch?.(readers.size);
    signal.addEventListener('abort', wake, { once: true });
    return this.#follow(sequence, reader, signal, () => {
      signal.removeEventListener('abort', wake);
      readers.delete(reader);
      this.#watch?.(readers.size);
      this.#giveRoom();
    });
  }

  async *#follow(sequence: number, reader: { read: number }, signal: AbortSignal, left: () => void): Answer {
    const place: Place = {};
    try {
      for (let next = sequence + 1; ; ) {
        if (signal.aborted) return;
        if (next < this.#events.first) throw new AppError('ANSWER_NOT_KEPT');
        const found = this.#events.at(next, place);
        if (found) {
          yield [found];
          next += 1;
          reader.read += bytesOf(found);
          this.#giveRoom();
        } else if (this.#endedAt === undefined) await (this.#change ??= Promise.withResolvers()).promise;
        else if (this.#failure) throw this.#failure;
        else return;
      }
    } finally {
      left();
    }
  }

  /** What the fastest reader has before it. */
  #unread(): number {
    if (!this.#readers || this.#readers.size === 0) return 0;
    return this.#written - Math.max(...[...this.#readers].map(({ read }) => read));
  }

  #wake(): void {
    this.#change?.resolve();
    this.#change = undefined;
  }

  #giveRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}
