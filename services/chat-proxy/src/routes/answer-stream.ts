import { Alarm, type AppError, type StreamReply, stream, toAppError } from '@tollgate/http-kit';
import type { Answer, AnswerEvent } from '../domain/answer.ts';
import { isLeaving } from '../domain/answer-events.ts';
import type { Framing } from './framing.ts';

export interface StreamSettings {
  /** Milliseconds between two comments that keep proxies from closing a quiet stream. */
  readonly heartbeatMs: number;
  /** Milliseconds a client may take to read what was written before its answer is ended. */
  readonly clientStallMs: number;
  /** Told about a failure that the client only sees as an event. */
  readonly failed: (error: AppError) => void;
}

/**
 * An answer as a stream of events. The first one is awaited before anything is sent, so that a refusal keeps its status;
 * a later failure is an `error` event in place of the end.
 */
export async function streamAnswer(
  answer: Answer,
  framing: Framing,
  settings: StreamSettings,
  after = 0,
): Promise<StreamReply> {
  const first = await answer.next();
  return stream(framing.contentType, frames({ answer, first, framing, settings, after }), {
    headers: { 'x-accel-buffering': 'no', ...answerHeaders(first.value?.[0] ?? {}) },
  });
}

/**
 * What the first event and the usage say of an answer: to how many tokens it was cut because of the balance, and whether it
 * is the one to an earlier request with the same key.
 */
export const answerHeaders = (told: { readonly [field: string]: unknown }): Readonly<Record<string, string>> => ({
  ...(typeof told['clamped_to'] === 'number' && { 'x-max-output-tokens': String(told['clamped_to']) }),
  ...(told['replayed'] === true && { 'idempotency-replayed': 'true' }),
});

/** Characters. What came together is written together, but not much more of it is made than the client takes at once. */
const LONGEST_TEXT = 16_384;

interface Relay {
  readonly answer: Answer;
  readonly first: IteratorResult<readonly AnswerEvent[], void>;
  readonly framing: Framing;
  readonly settings: StreamSettings;
  /** The number of the last event before the first one. */
  readonly after: number;
}

async function* frames({ answer, first, framing, settings, after }: Relay): AsyncGenerator<string, void, undefined> {
  const beat = new Beat<IteratorResult<readonly AnswerEvent[], void>>(framing, settings.heartbeatMs);
  const stall = new Stall(answer, settings.clientStallMs);
  let sequence = after;
  let next: Promise<IteratorResult<readonly AnswerEvent[], void>> = Promise.resolve(first);
  try {
    for (;;) {
      const result = await beat.orEarlier(next);
      if (result?.done) return;
      const texts = result ? textsOf(result.value, framing, sequence) : [beat.text];
      if (result) sequence += result.value.length;
      for (const text of stall.watch(texts)) yield text;
      if (stall.hasEnded) return;
      if (result) next = answer.next();
    }
  } catch (thrown) {
    const error = toAppError(thrown);
    if (!isLeaving(thrown)) settings.failed(error);
    for (const text of stall.watch([framing.failure(error, sequence + 1)])) yield text;
  } finally {
    beat.stop();
    stall.stop();
    await answer.return();
  }
}

function* textsOf(events: readonly AnswerEvent[], framing: Framing, after: number): Generator<string, void, undefined> {
  let sequence = after;
  let text = '';
  for (const event of events) {
    sequence += 1;
    text += framing.frame(event, sequence);
    if (text.length < LONGEST_TEXT) continue;
    yield text;
    text = '';
  }
  yield text;
}

/** What comes first: an event, or, as undefined, the next beat. */
class Beat<T> {
  readonly text: string;
  readonly #timer: NodeJS.Timeout | undefined;
  /** What is followed, and whether it has come while nobody waited. */
  #event: Promise<T> | undefined;
  #hasCome = false;
  /** Of whoever waits. */
  #wake: ((first: Promise<T> | undefined) => void) | undefined;

  /** In a framing that has no place for it, never. */
  constructor({ heartbeat }: Framing, everyMs: number) {
    this.text = heartbeat ?? '';
    if (heartbeat !== undefined) this.#timer = setInterval(() => this.#wake?.(undefined), everyMs);
  }

  // A race against one promise for all events would keep every one of them until the beat, and a race for each beat every beat
  // until the event.
  orEarlier(event: Promise<T>): Promise<T | undefined> {
    if (!this.#timer) return event;
    if (event !== this.#event) this.#follow(event);
    else if (this.#hasCome) return event;
    const { promise, resolve } = Promise.withResolvers<T | undefined>();
    this.#wake = resolve;
    return promise;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #follow(event: Promise<T>): void {
    this.#event = event;
    this.#hasCome = false;
    const come = (): void => {
      this.#hasCome = true;
      this.#wake?.(event);
    };
    event.then(come, come);
  }
}

/**
 * A client that keeps its connection but reads nothing would keep its answer, and the hold, for ever: the answer ends
 * without it and is settled for what was produced.
 */
class Stall {
  readonly #afterMs: number;
  readonly #alarm: Alarm;
  #hasEnded = false;

  constructor(answer: Answer, afterMs: number) {
    this.#afterMs = afterMs;
    this.#alarm = new Alarm(() => {
      this.#hasEnded = true;
      void answer.return().catch(() => undefined);
    });
  }

  /** Whether the answer had to be ended. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Around every write: a client may stop at a comment as well as at an event. */
  *watch(texts: Iterable<string>): Generator<string, void, undefined> {
    for (const text of texts) {
      if (text === '') continue;
      this.#alarm.set(this.#afterMs);
      yield text;
      this.#alarm.putOff();
      if (this.#hasEnded) return;
    }
  }

  stop(): void {
    this.#alarm.stop();
  }
}

/**
 * For a client that waits for all of an answer. One with a key goes on without its client, whose reading ends early: that is its
 * client's leaving, and no answer without an end.
 */
export async function* forWhole(answer: Answer, left: AbortSignal): Answer {
  yield* answer;
  left.throwIfAborted();
}
