import { AppError } from '@tollgate/http-kit';
import { createParser } from 'eventsource-parser';

/** Characters of one event: nothing honest is longer. */
const LONGEST_EVENT = 1024 * 1024;
/** A line that begins like none of an event stream, or of Flowise's. */
const STRANGE_LINE = /[\r\n](?!(?:data|event|id|retry|message)?(?:[:\r\n]|$))/;
/** The same, for a line that is not complete yet. */
const BEGINNINGS = [':', 'data:', 'event:', 'id:', 'retry:', 'message:'];
const LONGEST_BEGINNING = 8;
const BYTE_ORDER_MARK = '\uFEFF';

/**
 * Bytes of an event stream as the `data` of its events (WHATWG HTML, 9.2), wherever the bytes are cut. Comments, unknown
 * fields and Flowise's `message:` lines are passed over.
 */
export class SseDecoder {
  #events: string[] = [];
  #isTooLong = false;
  #hasGarbage = false;
  #hasBegun = false;
  /** The beginning of the line that is not complete yet. */
  #beginning = '';
  // Given a mark that is cut in two, the decoder would pass over a second one as well.
  readonly #text = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #parser = createParser({
    maxBufferSize: LONGEST_EVENT,
    onEvent: ({ data }) => void this.#events.push(data),
    onError: ({ type }) => {
      if (type === 'max-buffer-size-exceeded') this.#isTooLong = true;
    },
  });

  constructor() {
    // From its first line on the parser passes over no mark: other software's would be one to it, too.
    this.#parser.feed('\n');
  }

  /** Whether something came that is no event stream. */
  get hasGarbage(): boolean {
    return this.#hasGarbage || this.#isTooLong;
  }

  /** The events that are complete now. @throws AppError UPSTREAM_PROTOCOL_ERROR when one is longer than 1 MiB. */
  feed(chunk: Uint8Array): string[] {
    if (!this.#isTooLong) this.#read(this.#text.decode(chunk, { stream: true }));
    // What was complete before an event that is too long still counts.
    if (this.#isTooLong && this.#events.length === 0) {
      throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'an event is too long');
    }
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #read(decoded: string): void {
    if (decoded === '') return;
    const text = !this.#hasBegun && decoded.startsWith(BYTE_ORDER_MARK) ? decoded.slice(1) : decoded;
    this.#hasBegun = true;
    this.#parser.feed(text);
    this.#judge(text);
  }

  /** The parser's own word for it depends on how a line is cut. */
  #judge(text: string): void {
    const lineEnd = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r'));
    const lines = `\n${this.#beginning}${text}`;
    const isStrange = lineEnd !== -1 && STRANGE_LINE.test(lines.slice(0, lines.length - text.length + lineEnd));
    const last = lineEnd === -1 ? this.#beginning + text : text.slice(lineEnd + 1);
    this.#beginning = last.slice(0, LONGEST_BEGINNING);
    if (
      isStrange ||
      !BEGINNINGS.some((known) => known.startsWith(this.#beginning) || this.#beginning.startsWith(known))
    ) {
      this.#hasGarbage = true;
    }
  }
}
