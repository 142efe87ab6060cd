import { TextDecoder } from 'node:util';
import { AppError } from '@tollgate/http-kit';

/** Characters of one event: nothing honest is longer. */
const LONGEST_EVENT = 1024 * 1024;
/** How a line of an event stream begins, or of Flowise's. */
const BEGINNINGS = ['data:', ':', 'event:', 'id:', 'retry:', 'message:'];
const LONGEST_BEGINNING = 8;
const FIRST_BYTE_BEYOND_ASCII = 0x80;
const BYTE_ORDER_MARK = '\uFEFF';

/**
 * Bytes of an event stream as the `data` of its events (WHATWG HTML, 9.2), wherever the bytes are cut. Comments, unknown
 * fields and Flowise's `message:` lines are passed over. Our own, because a parser that makes an error of each unknown field
 * takes longer for those than for the answer.
 */
export class SseDecoder {
  #events: string[] = [];
  /** Of the event that is not complete yet; undefined without a line of data. */
  #data: string | undefined;
  /** The line that is not complete yet; of one that holds no data its beginning only. */
  #pieces: string[] = [];
  #length = 0;
  /** The last line has ended with CR: an LF that follows belongs to that. */
  #isAfterReturn = false;
  #isTooLong = false;
  #hasGarbage = false;
  #hasBegun = false;
  /** Whether the last character may be incomplete. */
  #isCut = false;
  /** Of pieces that end within a character; most answers have none. */
  #text: TextDecoder | undefined;

  /** Whether something came that is no event stream. */
  get hasGarbage(): boolean {
    return this.#hasGarbage || this.#isTooLong;
  }

  /** The events that are complete now. @throws AppError UPSTREAM_PROTOCOL_ERROR when one is longer than 1 MiB. */
  feed(chunk: Uint8Array): string[] {
    if (!this.#isTooLong) this.#read(this.#decode(chunk));
    // What was complete before an event that is too long still counts.
    if (this.#isTooLong && this.#events.length === 0) {
      throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'an event is too long');
    }
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Most pieces end with a line, and need no decoder that remembers. */
  #decode(chunk: Uint8Array): string {
    const endsWithCharacter = (chunk.at(-1) ?? 0) < FIRST_BYTE_BEYOND_ASCII;
    if (!this.#isCut && endsWithCharacter && Buffer.isBuffer(chunk)) return chunk.toString();
    if (chunk.length > 0) this.#isCut = !endsWithCharacter;
    // Given a mark that is cut in two, the decoder would pass over a second one as well.
    this.#text ??= new TextDecoder('utf-8', { ignoreBOM: true });
    return this.#text.decode(chunk, { stream: true });
  }

  #read(decoded: string): void {
    if (decoded === '') return;
    const isSecondHalf = this.#isAfterReturn && decoded.startsWith('\n');
    const isMarked = !this.#hasBegun && decoded.startsWith(BYTE_ORDER_MARK);
    this.#hasBegun = true;
    this.#isAfterReturn = decoded.endsWith('\r');
    const text = decoded.includes('\r') ? decoded.replaceAll(/\r\n?/g, '\n') : decoded;
    let start = isSecondHalf || isMarked ? 1 : 0;
    for (let end = text.indexOf('\n', start); end !== -1; end = text.indexOf('\n', start)) {
      this.#endLine(text.slice(start, end));
      if (this.#isTooLong) return;
      start = end + 1;
    }
    this.#keep(text.slice(start));
  }

  #endLine(end: string): void {
    const line = this.#pieces.length === 0 ? end : this.#pieces.join('') + end;
    this.#pieces = [];
    this.#length = 0;
    if (line === '') this.#endEvent();
    else if (line.startsWith('data:')) this.#add(line.slice(line.startsWith(' ', 5) ? 6 : 5));
    else if (line === 'data') this.#add('');
    else if (!BEGINNINGS.some((known) => line.startsWith(known) || `${line}:` === known)) this.#hasGarbage = true;
  }

  #add(data: string): void {
    this.#data = this.#data === undefined ? data : `${this.#data}\n${data}`;
    if (this.#data.length > LONGEST_EVENT) this.#isTooLong = true;
  }

  #endEvent(): void {
    if (this.#data !== undefined) this.#events.push(this.#data);
    this.#data = undefined;
  }

  /** The beginning of a line, or more of one. */
  #keep(piece: string): void {
    if (piece === '') return;
    const isJudged = this.#length >= LONGEST_BEGINNING;
    if (isJudged && this.#pieces.length === 1 && !this.#pieces[0]?.startsWith('data:')) return;
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (!isJudged) this.#judge(this.#pieces.join(''));
    if (this.#length + (this.#data?.length ?? 0) > LONGEST_EVENT) this.#isTooLong = true;
  }

  #judge(line: string): void {
    const beginning = line.slice(0, LONGEST_BEGINNING);
    if (!BEGINNINGS.some((known) => known.startsWith(beginning) || beginning.startsWith(known)))
      this.#hasGarbage = true;
    if (line.length < LONGEST_BEGINNING) return;
    this.#pieces = [beginning.startsWith('data:') ? line : beginning];
    this.#length = this.#pieces[0]?.length ?? 0;
  }
}
