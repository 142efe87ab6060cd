import { AppError } from '@tollgate/http-kit';
import { createParser } from 'eventsource-parser';

/** Characters of one event: nothing honest is longer. */
const LONGEST_EVENT = 1024 * 1024;

/**
 * Bytes of an event stream as the `data` of its events (WHATWG HTML, 9.2), wherever the bytes are cut. Comments, unknown
 * fields and Flowise's `message:` lines are passed over.
 */
export class SseDecoder {
  #events: string[] = [];
  #isTooLong = false;
  #hasGarbage = false;
  readonly #text = new TextDecoder();
  readonly #parser = createParser({
    maxBufferSize: LONGEST_EVENT,
    onEvent: ({ data }) => void this.#events.push(data),
    onError: ({ type, field }) => {
      if (type === 'max-buffer-size-exceeded') this.#isTooLong = true;
      else if (type === 'unknown-field' && field !== 'message') this.#hasGarbage = true;
    },
  });

  /** Whether something came that is no event stream. */
  get hasGarbage(): boolean {
    return this.#hasGarbage || this.#isTooLong;
  }

  /** The events that are complete now. @throws AppError UPSTREAM_PROTOCOL_ERROR when one is longer than 1 MiB. */
  feed(chunk: Uint8Array): string[] {
    if (!this.#isTooLong) this.#parser.feed(this.#text.decode(chunk, { stream: true }));
    // What was complete before an event that is too long still counts.
    if (this.#isTooLong && this.#events.length === 0) {
      throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'an event is too long');
    }
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
