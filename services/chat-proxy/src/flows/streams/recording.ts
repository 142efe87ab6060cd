import { AppError } from '@tollgate/http-kit';
import type { AnswerEvent } from '../../domain/answer.ts';
import type { HoldId } from '../../domain/wire-types.ts';
import type { Owner } from '../../ports.ts';

/** What an event takes beside its text, roughly. */
const BYTES_PER_EVENT = 64;
/** An answer runs so far ahead of the fastest of its readers, in bytes. */
const MOST_AHEAD = 262_144;
const MOST_READERS = 8;

/** An answer while it is given and for some time after, for whoever reads it, again or from somewhere in between. */
export class Recording {
  readonly requestId: HoldId;
  readonly owner: Owner;
  /** Told of every change in what it holds. */
  readonly #grown: (bytes: number) => void;
  #events: { readonly event: AnswerEvent; readonly bytes: number }[] = [];
  /** The number of the first event that is still here. */
  #first = 1;
  #bytes = 0;
  /** Bytes of everything that ever was in here. */
  #written = 0;
  #failure: AppError | undefined;
  #endedAt: number | undefined;
  #change = Promise.withResolvers<void>();
  readonly #readers = new Set<{ read: number }>();
  #room = Promise.withResolvers<void>();
  #watch: (readers: number) => void = () => undefined;

  constructor(requestId: HoldId, owner: Owner, grown: (bytes: number) => void) {
    this.requestId = requestId;
    this.owner = owner;
    this.#grown = grown;
  }

  add(event: AnswerEvent): void {
    const bytes = BYTES_PER_EVENT + (typeof event.data === 'string' ? event.data.length : JSON.stringify(event).length);
    this.#events.push({ event, bytes });
    this.#written += bytes;
    this.#count(bytes);
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
    const kept = Math.max(mostBytes, this.#unread());
    let gone = 0;
    let at = 0;
    for (; this.#bytes - gone > kept && at < this.#events.length; at += 1) gone += this.#events[at]?.bytes ?? 0;
    this.#events.splice(0, at);
    this.#first += at;
    this.#count(-gone);
  }

  get bytes(): number {
    return this.#bytes;
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
    return this.#events.at(-1)?.event.event;
  }

  /** Whether everything after that number is still here. */
  has(sequence: number): boolean {
    return sequence + 1 >= this.#first;
  }

  /** What came after that number; undefined when some of it has been forgotten. */
  after(sequence: number): AnswerEvent[] | undefined {
    if (!this.has(sequence)) return undefined;
    return this.#events.slice(sequence + 1 - this.#first).map(({ event }) => event);
  }

  /** Told the number of readers whenever it changes. */
  watch(watch: (readers: number) => void): void {
    this.#watch = watch;
  }

  /** Resolves when a reader has caught up. Without readers there is nobody to wait for. */
  async room(): Promise<void> {
    while (this.#unread() > MOST_AHEAD) await this.#room.promise;
  }

  /** Reads on from after that number until the answer ends, or throws as the answer did. Counts as a reader from now on. */
  read(after: number, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, undefined> {
    if (this.#readers.size >= MOST_READERS) throw new AppError('PARALLEL_LIMIT', 'This answer has too many readers');
    // Whoever claims to have had more would be waited for in vain.
    const sequence = Math.min(after, this.#first + this.#events.length - 1);
    const kept = this.after(sequence) ?? [];
    const reader = { read: this.#written - this.#bytesOf(kept.length) };
    const wake = (): void => this.#wake();
    this.#readers.add(reader);
    this.#watch(this.#readers.size);
    signal.addEventListener('abort', wake, { once: true });
    return this.#follow(sequence, reader, signal, () => {
      signal.removeEventListener('abort', wake);
      this.#readers.delete(reader);
      this.#watch(this.#readers.size);
      this.#giveRoom();
    });
  }

  async *#follow(
    sequence: number,
    reader: { read: number },
    signal: AbortSignal,
    left: () => void,
  ): AsyncGenerator<AnswerEvent, void, undefined> {
    try {
      for (let next = sequence + 1; ; ) {
        if (signal.aborted) return;
        if (next < this.#first) throw new AppError('ANSWER_NOT_KEPT');
        const found = this.#events[next - this.#first];
        if (found) {
          yield found.event;
          next += 1;
          reader.read += found.bytes;
          this.#giveRoom();
        } else if (this.#endedAt === undefined) await this.#change.promise;
        else if (this.#failure) throw this.#failure;
        else return;
      }
    } finally {
      left();
    }
  }

  /** What the fastest reader has before it. */
  #unread(): number {
    if (this.#readers.size === 0) return 0;
    return this.#written - Math.max(...[...this.#readers].map(({ read }) => read));
  }

  #bytesOf(newest: number): number {
    return newest === 0 ? 0 : this.#events.slice(-newest).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#grown(bytes);
  }

  #wake(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  #giveRoom(): void {
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }
}
