import type { IncomingHttpHeaders } from 'node:http';
import type { Agent, Dispatcher } from 'undici';

const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const FIRST_FINAL_STATUS = 200;

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Patience {
  /** Milliseconds until all of it must have come. */
  readonly timeoutMs: number;
  /** The caller's going. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One request and all of its answer. Rejects with what kept it away: what undici met, a TimeoutError, or the reason of the signal.
 * undici's own `request` would make a stream, an iterator and a signal for every one, which is most of what a small call costs.
 */
export async function wholeAnswer(
  agent: Agent,
  request: Dispatcher.DispatchOptions,
  { timeoutMs, signal }: Patience,
): Promise<Answered> {
  signal?.throwIfAborted();
  const answer = new Gathered();
  const leave = (): void => answer.giveUp(signal?.reason);
  const late = setTimeout(() => answer.giveUp(new DOMException('The call took too long', 'TimeoutError')), timeoutMs);
  signal?.addEventListener('abort', leave, { once: true });
  try {
    agent.dispatch(request, answer);
    return await answer.whole;
  } finally {
    clearTimeout(late);
    signal?.removeEventListener('abort', leave);
  }
}

class Gathered implements Dispatcher.DispatchHandler {
  readonly #whole = Promise.withResolvers<Answered>();
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #head: Pick<Answered, 'status' | 'headers'> = { status: 0, headers: {} };
  #controller: Dispatcher.DispatchController | undefined;
  #given: { readonly up: unknown } | undefined;

  get whole(): Promise<Answered> {
    return this.#whole.promise;
  }

  /** Ends the connection as soon as there is one; whoever waits gets the reason at once. */
  giveUp(reason: unknown): void {
    this.#given = { up: reason };
    this.#whole.reject(reason);
    this.#controller?.abort(asError(reason));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#given) controller.abort(asError(this.#given.up));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status >= FIRST_FINAL_STATUS) this.#head = { status, headers };
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= MAX_ANSWER_BYTES) this.#chunks.push(chunk);
    else this.giveUp(new Error('the answer is too large'));
  }

  onResponseEnd(): void {
    this.#whole.resolve({ ...this.#head, text: Buffer.concat(this.#chunks).toString() });
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#whole.reject(error);
  }
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
