import type { OperationSpec, PERMISSIONS, ServerInput, ServerResult } from '@tollgate/contracts';
import type { Caller, ServiceCaller, UserCaller } from './caller.ts';

export interface RequestContext {
  readonly requestId: string;
  /** Aborts when the client has left before the answer was complete. */
  readonly signal: AbortSignal;
  readonly ip: string;
  readonly userAgent: string;
  readonly idempotencyKey?: string;
  readonly cookies: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly options: {
    readonly path?: string;
    readonly maxAgeMs?: number;
    readonly httpOnly?: boolean;
    readonly secure?: boolean;
    readonly sameSite?: 'strict' | 'lax' | 'none';
  };
}

/** A complete answer whose status, headers or cookies differ from the operation's plain success. */
export class Reply<Body = unknown> {
  readonly status: number;
  readonly body: Body;
  readonly headers: Readonly<Record<string, string>>;
  readonly cookies: readonly Cookie[];
  constructor(status: number, body: Body, headers: Readonly<Record<string, string>>, cookies: readonly Cookie[]) {
    this.status = status;
    this.body = body;
    this.headers = headers;
    this.cookies = cookies;
  }
}

/** An answer that arrives piece by piece; the iterator's `return` runs when the client leaves. */
export class StreamReply {
  readonly contentType: string;
  readonly chunks: AsyncIterable<string | Uint8Array>;
  readonly headers: Readonly<Record<string, string>>;
  /** What is only known at the end (RFC 9110, section 6.5): asked for after the last chunk. A client of HTTP/1.0 gets none. */
  readonly trailers: Readonly<Record<string, () => string>>;
  /** The operation's own when absent. */
  readonly status: number | undefined;
  constructor(
    contentType: string,
    chunks: AsyncIterable<string | Uint8Array>,
    { headers = {}, trailers = {}, status }: StreamOptions,
  ) {
    this.contentType = contentType;
    this.chunks = chunks;
    this.headers = headers;
    this.trailers = trailers;
    this.status = status;
  }
}

interface StreamOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly trailers?: Readonly<Record<string, () => string>>;
  readonly status?: number | undefined;
}

interface ReplyOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly Cookie[];
}

export const reply = <Body>(status: number, body: Body, options: ReplyOptions = {}): Reply<Body> =>
  new Reply(status, body, options.headers ?? {}, options.cookies ?? []);

export const stream = (
  contentType: string,
  chunks: AsyncIterable<string | Uint8Array>,
  options: StreamOptions = {},
): StreamReply => new StreamReply(contentType, chunks, options);

type CallerOf<S extends OperationSpec> = (typeof PERMISSIONS)[S['permission']] extends 'service'
  ? ServiceCaller
  : (typeof PERMISSIONS)[S['permission']] extends 'anyone'
    ? Caller | undefined
    : UserCaller;

type Answer<S extends OperationSpec> = ServerResult<S> | Reply<ServerResult<S>> | StreamReply;

export type Handler<S extends OperationSpec> = (
  input: ServerInput<S>,
  caller: CallerOf<S>,
  context: RequestContext,
) => Promise<Answer<S>> | Answer<S>;

/** One operation and what answers it; the adapters in ./express and ./fastify mount lists of these. */
export interface Route {
  readonly operation: OperationSpec;
  readonly handle: (input: never, caller: never, context: RequestContext) => unknown;
}

/** `serve(operation).with(handler)`: the operation is fixed first, so that the handler's types follow from it. */
export const serve = <const S extends OperationSpec>(operation: S) => ({
  with: (handler: Handler<S>): Route => ({ operation, handle: handler as Route['handle'] }),
});
