import type { IncomingHttpHeaders } from 'node:http';
import type { Agent, Dispatcher } from 'undici';

/** So much may wait for its reader before the connection is read no further. */
const MOST_WAITING_BYTES = 16_384;
/** What is left of an answer that is whole may be so long, and come so late, for its connection to be kept. */
const REST_BYTES = 65_536;
const REST_MS = 1000;

export interface Head {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
}

interface Failure {
  readonly error: unknown;
}

const FIRST_FINAL_STATUS = 200;

/**
 * One request, and the bytes of its answer as they come. undici's own stream would take as much time as everything else that is
 * done for an answer, and its iterator gives up a connection on which only the end is missing.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  /** Until it has been looked at: headers are not kept for as long as the answer takes. */
  #head: PromiseWithResolvers<Head> | undefined = Promise.withResolvers<Head>();
  #controller: Dispatcher.DispatchController | undefined;
  #chunks: Buffer[] = [];
  #waitingBytes = 0;
  #isOver = false;
  #failure: Failure | undefined;
  /** Of whoever waits for more. */
  #wake: (() => void) | undefined;
  /** Bytes that may still come when nobody reads on. */
  #restBytes: number | undefined;
  #rest: NodeJS.Timeout | undefined;

  constructor(agent: Agent, request: Dispatcher.DispatchOptions) {
    // Whoever gives up before it has come asks nobody.
    this.#head?.promise.catch(() => undefined);
    agent.dispatch(request, this);
  }

  /** Once. */
  async head(): Promise<Head> {
    if (!this.#head) throw new Error('the head was looked at before');
    try {
      return await this.#head.promise;
    } finally {
      this.#head = undefined;
    }
  }

  /** Whether all of it has come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Resolves when there is something to take, or nothing more will be. One promise, because an open answer waits here for most of
   * its time.
   */
  more(): Promise<void> | undefined {
    if (this.#chunks.length > 0 || this.#failure || this.#isOver) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    // Not before: what its reader is slow with shall wait at the server, not here. More may come at once.
    this.#controller?.resume();
    return promise;
  }

  /** What has come since the last time, in one piece; undefined at the end. Throws what broke it off. */
  take(): Buffer | undefined {
    const chunks = this.#chunks;
    if (chunks.length === 0) {
      if (this.#failure) throw this.#failure.error;
      return undefined;
    }
    this.#chunks = [];
    this.#waitingBytes = 0;
    const [first] = chunks;
    return chunks.length === 1 ? first : Buffer.concat(chunks);
  }

  /** Cuts the connection, unless all has come; whoever waits gets the reason. */
  abort(reason: unknown): void {
    if (this.#isOver || this.#failure) return;
    this.#chunks = [];
    this.#fail(reason);
    this.#controller?.abort(asError(reason));
  }

  /** Nobody reads on: the little that is left goes by, so that the connection can be used again. */
  leave(): void {
    if (this.#isOver || this.#failure) return;
    this.#restBytes = REST_BYTES - this.#waitingBytes;
    this.#chunks = [];
    this.#rest = setTimeout(() => this.#giveUp(), REST_MS);
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure) controller.abort(asError(this.#failure.error));
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    // Pieces of what was read from the connection, all of which they would keep for as long as the answer takes.
    controller.rawHeaders = null;
    if (statusCode >= FIRST_FINAL_STATUS) this.#head?.resolve({ statusCode, headers });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#failure) return;
    if (this.#restBytes !== undefined) {
      this.#restBytes -= chunk.length;
      if (this.#restBytes < 0) this.#giveUp();
      return;
    }
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > MOST_WAITING_BYTES) controller.pause();
    this.#tell();
  }

  onResponseEnd(): void {
    clearTimeout(this.#rest);
    this.#isOver = true;
    this.#tell();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error);
  }

  #giveUp(): void {
    this.abort(new Error('the rest of an answer did not end'));
  }

  #fail(error: unknown): void {
    clearTimeout(this.#rest);
    this.#failure ??= { error };
    this.#head?.reject(error);
    this.#tell();
  }

  #tell(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
