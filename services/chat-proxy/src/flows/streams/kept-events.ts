import type { AnswerEvent } from '../../domain/answer.ts';

/** What an event takes beside its text, roughly. */
const BYTES_PER_EVENT = 64;
/** So much is packed at once; the newest of it stays as it is, for readers that keep up. */
const PACKED_BYTES = 16_384;

export const bytesOf = ({ data }: AnswerEvent): number =>
  BYTES_PER_EVENT + (typeof data === 'string' ? data.length : JSON.stringify(data ?? null).length);

interface Pack {
  /** The number of its first event. */
  readonly first: number;
  readonly count: number;
  readonly bytes: number;
  readonly text: Buffer<ArrayBuffer>;
}

/** Where a reader is, with the pack that it reads. */
export interface Place {
  unpacked?: { readonly first: number; readonly events: readonly AnswerEvent[] };
}

/**
 * The events of an answer, numbered from 1; the oldest may be forgotten. All but the newest are packed outside of the heap: what
 * is kept for minutes and then thrown away would else grow the heap several times over before it is collected.
 */
export class KeptEvents {
  readonly #packs: Pack[] = [];
  #newest: AnswerEvent[] = [];
  #newestBytes = 0;
  /** The number of the first event that is still here, and of the first one that is not packed. */
  #first = 1;
  #firstOfNewest = 1;
  #bytes = 0;

  add(event: AnswerEvent): number {
    const bytes = bytesOf(event);
    this.#newest.push(event);
    this.#newestBytes += bytes;
    this.#bytes += bytes;
    if (this.#newestBytes > PACKED_BYTES) this.#pack();
    return bytes;
  }

  get first(): number {
    return this.#first;
  }

  get last(): number {
    return this.#firstOfNewest + this.#newest.length - 1;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get lastEvent(): AnswerEvent | undefined {
    return this.#newest.at(-1);
  }

  /** The event of that number; a reader that asks for one after the other unpacks each pack once. */
  at(number: number, place: Place = {}): AnswerEvent | undefined {
    if (number >= this.#firstOfNewest) return this.#newest[number - this.#firstOfNewest];
    const known = place.unpacked?.events[number - place.unpacked.first];
    if (known) return known;
    const pack = this.#packs.find(({ first, count }) => number >= first && number < first + count);
    if (!pack) return undefined;
    place.unpacked = { first: pack.first, events: JSON.parse(pack.text.toString()) as AnswerEvent[] };
    return place.unpacked.events[number - pack.first];
  }

  from(number: number): AnswerEvent[] {
    const place: Place = {};
    const events: AnswerEvent[] = [];
    for (let next = number; next <= this.last; next += 1) events.push(this.at(next, place) as AnswerEvent);
    return events;
  }

  /** Forgets the oldest until no more than `mostBytes` are left, but none of the newest `unreadBytes`. How many bytes it were. */
  shrink(mostBytes: number, unreadBytes: number): number {
    const before = this.#bytes;
    for (let [pack] = this.#packs; pack && this.#bytes > mostBytes; [pack] = this.#packs) {
      if (this.#bytes - pack.bytes < unreadBytes) return before - this.#bytes;
      this.#packs.shift();
      giveBack(pack.text);
      this.#first = pack.first + pack.count;
      this.#bytes -= pack.bytes;
    }
    const kept = Math.max(mostBytes, unreadBytes);
    let gone = 0;
    let bytes = 0;
    for (; this.#bytes - bytes > kept && gone < this.#newest.length; gone += 1)
      bytes += bytesOf(this.#newest[gone] as AnswerEvent);
    if (gone > 0) this.#forgetNewest(gone, bytes);
    return before - this.#bytes;
  }

  #forgetNewest(count: number, bytes: number): void {
    this.#newest.splice(0, count);
    this.#newestBytes -= bytes;
    this.#bytes -= bytes;
    this.#firstOfNewest += count;
    this.#first = this.#firstOfNewest;
  }

  #pack(): void {
    let count = 0;
    let bytes = 0;
    for (; bytes < PACKED_BYTES && count < this.#newest.length - 1; count += 1)
      bytes += bytesOf(this.#newest[count] as AnswerEvent);
    if (count === 0) return;
    const events = this.#newest.splice(0, count);
    this.#packs.push({ first: this.#firstOfNewest, count, bytes, text: alone(JSON.stringify(events)) });
    this.#firstOfNewest += count;
    this.#newestBytes -= bytes;
  }
}

/** In memory of its own: a piece of one that buffers share would keep all of it. */
function alone(text: string): Buffer<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** At once: what has been kept for minutes would else stay until V8 looks through all of its heap. */
const giveBack = ({ buffer }: Buffer<ArrayBuffer>): unknown => buffer.transfer(0);
