import { Alarm, AppError } from '@tollgate/http-kit';
import { type Agent, FormData } from 'undici';
import { Exchange, type Head } from './exchange.ts';
import { SseDecoder } from './sse-decoder.ts';
import type { Turns } from './turns.ts';
import { codesOf, quoting, UpstreamError } from './upstream-error.ts';

/** Milliseconds. */
export interface UpstreamTimeouts {
  /** From the request to the first event that belongs to the answer. */
  readonly firstByteMs: number;
  /** Between two events; comments do not count. */
  readonly idleMs: number;
  /** For the whole exchange. */
  readonly totalMs: number;
}

export interface UpstreamRequest {
  readonly agent: Agent;
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  /** A form, or what is sent as JSON. */
  readonly body?: unknown;
  readonly signal: AbortSignal;
  readonly timeouts: UpstreamTimeouts;
  /** For events, which are read as they come. */
  readonly turns?: Turns;
}

/** Bytes of one answer, an agent's trace included. */
const LONGEST_STREAM = 256 * 1024 * 1024;
const LONGEST_JSON = 32 * 1024 * 1024;
const LONGEST_ERROR_BODY = 65_536;

/** What undici says about a response whose head contradicts itself. */
const NO_HTTP = new Set(['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UND_ERR_HEADERS_OVERFLOW']);

/** One exchange with an upstream: every wait has a limit, and the caller's signal ends all of them. */
export class UpstreamCall {
  /** Until it has been sent: the question is not kept for as long as its answer takes. */
  #request: UpstreamRequest | undefined;
  readonly #signal: AbortSignal;
  readonly #timeouts: UpstreamTimeouts;
  readonly #turns: Turns | undefined;
  readonly #passOn: () => void;
  #exchange: Exchange | undefined;
  /** Why this side has ended it. */
  #stopped: { readonly reason: unknown } | undefined;
  readonly #silence = new Alarm((ms) => this.#fallSilent(ms));
  #end: NodeJS.Timeout | undefined;
  /** Bytes of the answer so far, and how often something came that ends a silence. */
  #size = 0;
  #heard = 0;
  readonly #decoder = new SseDecoder();
  /** What has come and was not looked at yet. */
  #read: Buffer | undefined;

  constructor(upstreamRequest: UpstreamRequest) {
    this.#request = upstreamRequest;
    const { signal, timeouts, turns } = upstreamRequest;
    this.#signal = signal;
    this.#timeouts = timeouts;
    this.#turns = turns;
    this.#passOn = () => this.#stop(signal.reason);
    if (signal.aborted) this.#passOn();
    else signal.addEventListener('abort', this.#passOn, { once: true });
  }

  /** Sends the request; a status that is no success is thrown. */
  async open(): Promise<{ contentType: string; isAttachment: boolean }> {
    this.#silence.set(this.#timeouts.firstByteMs);
    // Not AbortSignal.timeout, which stays in memory until its time has come, however short the answer was.
    this.#end = setTimeout(() => this.#stop(new AppError('UPSTREAM_TIMEOUT', 'too long')), this.#timeouts.totalMs);
    if (!this.#request) throw new Error('the call was opened before');
    const head = await this.#head(this.#request);
    const { statusCode, headers: answered } = head;
    if (statusCode < 200 || statusCode > 299) throw await this.#refusal(head);
    if (answered['content-encoding'] !== undefined && answered['content-encoding'] !== 'identity') {
      throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the answer is packed');
    }
    return {
      contentType: single(answered['content-type']).split(';', 1)[0]?.trim().toLowerCase() ?? '',
      isAttachment: answered['content-disposition'] !== undefined,
    };
  }

  /**
   * The `data` of the events, as many at a time as one read held. `hasBegun` says whether the answer itself has, `idleMs` how
   * long it may be silent then, when that is shorter than usual.
   */
  async *events(
    hasBegun: () => boolean,
    idleMs: () => number | undefined = () => undefined,
  ): AsyncGenerator<string[], void, undefined> {
    const timeouts = this.#timeouts;
    const listen = (): void => {
      this.#heard += 1;
      this.#silence.set(hasBegun() ? Math.min(idleMs() ?? Infinity, timeouts.idleMs) : timeouts.firstByteMs);
    };
    try {
      for (;;) {
        await this.#exchange?.more();
        const bytes = this.#fetch();
        if (bytes === undefined) break;
        if (this.#size > LONGEST_STREAM) throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the answer is too long');
        const turn = this.#turns?.take(bytes);
        // Silence is the upstream's alone: while this process or the client takes its time, nothing is measured.
        if (turn) {
          this.#silence.putOff();
          await turn;
        }
        const events = this.#eventsRead();
        if (events.length > 0) {
          this.#silence.putOff();
          yield events;
        }
        if (events.length > 0 || turn) listen();
      }
    } catch (error) {
      throw this.#failure(error, 'UPSTREAM_INTERRUPTED');
    }
  }

  /** A stream that ended before its answer was complete. */
  unfinished(): AppError {
    return this.#decoder.hasGarbage
      ? new AppError('UPSTREAM_PROTOCOL_ERROR', 'the stream is no event stream')
      : new AppError('UPSTREAM_INTERRUPTED', 'the stream ended before the answer did');
  }

  async json(): Promise<unknown> {
    return parseJson((await this.bytes(LONGEST_JSON)).toString());
  }

  /** All of the answer, when it is no longer than `limit` bytes. */
  async bytes(limit: number): Promise<Buffer> {
    try {
      return await this.#whole(limit);
    } catch (error) {
      throw this.#failure(error, 'UPSTREAM_INTERRUPTED');
    }
  }

  /** To be called once, always. After a complete answer the connection is kept, else it is cut. */
  close(isComplete: boolean): void {
    this.#silence.stop();
    clearTimeout(this.#end);
    this.#signal.removeEventListener('abort', this.#passOn);
    if (isComplete) this.#exchange?.leave();
    else if (!this.#exchange?.isOver) this.#stop(new AppError('UPSTREAM_INTERRUPTED', 'stopped by this side'));
  }

  async #head({ agent, url, method, headers, body }: UpstreamRequest): Promise<Head> {
    if (this.#stopped) throw this.#stopped.reason;
    const { origin, pathname, search } = new URL(url);
    try {
      this.#exchange = new Exchange(agent, {
        origin,
        path: pathname + search,
        method,
        // Bytes are compared with limits as they come, so nothing may be packed.
        headers: {
          'accept-encoding': 'identity',
          ...(body !== undefined && !(body instanceof FormData) && { 'content-type': 'application/json' }),
          ...headers,
        },
        headersTimeout: 0,
        bodyTimeout: 0,
        ...(body !== undefined && { body: body instanceof FormData ? body : ownBytesOf(JSON.stringify(body)) }),
      });
      this.#request = undefined;
      return await this.#exchange.head();
    } catch (error) {
      throw this.#failure(error, 'UPSTREAM_UNAVAILABLE');
    }
  }

  /** How many bytes have come; kept here and not beside the generator, which would hold on to them while it waits for more. */
  #fetch(): number | undefined {
    this.#read = this.#take();
    return this.#read?.length;
  }

  #eventsRead(): string[] {
    const read = this.#read ?? Buffer.alloc(0);
    this.#read = undefined;
    return this.#decoder.feed(read);
  }

  #take(): Buffer | undefined {
    if (!this.#exchange) throw new Error('the call is not open');
    const chunk = this.#exchange.take();
    this.#size += chunk?.length ?? 0;
    return chunk;
  }

  #stop(reason: unknown): void {
    this.#stopped ??= { reason };
    this.#exchange?.abort(reason);
  }

  #fallSilent(ms: number): void {
    const heard = this.#heard;
    // When it was this process that had no time, the answer lies in the socket: it is read first.
    setImmediate(() => {
      if (!this.#silence.isSet || this.#heard !== heard) return;
      this.#stop(new UpstreamError('UPSTREAM_TIMEOUT', `silent for ${ms} ms`, { hadBody: this.#size > 0 }));
    });
  }

  async #whole(limit: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (;;) {
      await this.#exchange?.more();
      const chunk = this.#take();
      if (!chunk) return Buffer.concat(chunks);
      if (this.#size > limit) throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the answer is too long');
      chunks.push(chunk);
    }
  }

  async #refusal({ statusCode, headers }: Head): Promise<AppError> {
    const text = (await this.#whole(LONGEST_ERROR_BODY).catch(() => Buffer.alloc(0))).toString();
    const cause = quoting(`the upstream answered ${statusCode}${codesIn(text)}`, text);
    const retryAfter = single(headers['retry-after']);
    const upstreamStatus = statusCode;
    if (statusCode !== 429) return new UpstreamError('UPSTREAM_FAILED', cause.message, { cause, upstreamStatus });
    return new UpstreamError('RATE_LIMITED', 'The AI server is busy', {
      cause,
      upstreamStatus,
      ...(/^\d{1,6}$/.test(retryAfter) && { headers: { 'retry-after': retryAfter } }),
    });
  }

  #failure(error: unknown, otherwise: 'UPSTREAM_UNAVAILABLE' | 'UPSTREAM_INTERRUPTED'): unknown {
    if (error instanceof AppError) return error;
    if (this.#stopped) return this.#stopped.reason;
    const { name, code } = Object(error) as { name?: unknown; code?: unknown };
    // A message that is no HTTP: its connection is never used again.
    const isNoHttp = name === 'HTTPParserError' || (otherwise === 'UPSTREAM_UNAVAILABLE' && NO_HTTP.has(String(code)));
    return new UpstreamError(isNoHttp ? 'UPSTREAM_PROTOCOL_ERROR' : otherwise, String(code ?? name), {
      cause: withoutBytes(error),
      hadBody: otherwise === 'UPSTREAM_INTERRUPTED',
    });
  }
}

/**
 * In memory of its own: undici keeps a body for as long as its answer takes, and with it the whole pool of 64 KiB that small
 * buffers share.
 */
const ownBytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

const single = (header: string | string[] | undefined): string => (Array.isArray(header) ? header[0] : header) ?? '';

/** Undici's errors carry what had come, which is part of an answer, into the log. */
function withoutBytes(error: unknown): Error {
  const { name, code, message } = Object(error) as { name?: unknown; code?: unknown; message?: unknown };
  return Object.assign(new Error(String(message)), { name: String(name), code });
}

function codesIn(text: string): string {
  try {
    return codesOf(Object(JSON.parse(text)).error);
  } catch {
    return '';
  }
}

/** Never with a cause, because a parser's message quotes the answer. @throws AppError UPSTREAM_PROTOCOL_ERROR. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'what should be JSON is not');
  }
}
