import {
  type ClientInput,
  type ClientResult,
  codeFromWire,
  type ErrorCode,
  LimitDetails,
  type OperationSpec,
  type UserId,
} from '@tollgate/contracts';
import { Agent } from 'undici';
import { AppError, unavailable } from './app-error.ts';
import { isKeyText } from './keys/key-text.ts';
import { requestContext } from './request-context.ts';
import { type Connections, connectionsOf } from './outbound/connections.ts';
import { type Answered, wholeAnswer } from './outbound/whole-answer.ts';
import { inSpan } from './tracing/in-span.ts';

export interface ClientOptions {
  /** With or without a trailing slash or `/api`. */
  readonly baseUrl: string;
  /** Milliseconds for the whole call, a second attempt included. */
  readonly timeoutMs: number;
  /** Bearer token of each call, unless the call brings its own. */
  readonly token?: () => string | Promise<string>;
  /** What a neighbour that cannot be reached, answers 5xx or takes too long turns into; DEPENDENCY_UNAVAILABLE when absent. */
  readonly onUnavailable?: ErrorCode;
  /** Open connections to the neighbour; 64 when absent. */
  readonly connections?: number;
}

export interface CallOptions {
  readonly idempotencyKey?: string;
  /** A user's bearer token or id: the service acts for this user. */
  readonly onBehalfOf?: string | UserId;
  readonly token?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

type Arguments<S extends OperationSpec> =
  Record<never, never> extends ClientInput<S>
    ? [input?: ClientInput<S>, call?: CallOptions]
    : [input: ClientInput<S>, call?: CallOptions];

export type Client<Operations extends Readonly<Record<string, OperationSpec>>> = {
  readonly [Name in keyof Operations]: (
    ...input: Arguments<Operations[Name]>
  ) => Promise<ClientResult<Operations[Name]>>;
} & {
  /** How many connections are open and idle, and how many calls wait for one. */
  connections(): Connections;
  close(): Promise<void>;
};

const RETRY_AFTER_SECONDS = 2;
const CREDENTIAL_CODES: ReadonlySet<ErrorCode> = new Set(['UNAUTHENTICATED', 'INVALID_TOKEN']);
/** Refusals that concern the caller, whichever operation answers them. */
const PASSED_ON: ReadonlySet<ErrorCode> = new Set([
  'FORBIDDEN',
  'INSUFFICIENT_SCOPE',
  'RATE_LIMITED',
  'NOT_FOUND',
  'VALIDATION_FAILED',
  'INVALID_AMOUNT',
]);

/**
 * Typed functions for a neighbour's operations. Every call has a deadline. A GET, or a call with an Idempotency-Key, is tried
 * once more with the same key when the first attempt got no answer or a 5xx. Unknown response fields are dropped.
 * Throws the neighbour's own code when the operation lists it, else `onUnavailable`; the reason of `signal` when that aborts.
 */
export function createClient<const Operations extends Readonly<Record<string, OperationSpec>>>(
  operations: Operations,
  options: ClientOptions,
): Client<Operations> {
  const agent = new Agent({
    connections: options.connections ?? 64,
    connect: { timeout: Math.min(3000, options.timeoutMs) },
    pipelining: 1,
  });
  const { origin, pathname } = new URL(options.baseUrl.replace(/\/+$/, '').replace(/\/api$/, ''));
  const base = { origin, path: pathname.replace(/\/$/, '') };
  const calls = Object.entries(operations).map(([name, operation]) => [
    name,
    (input: AnyInput = {}, call: CallOptions = {}) =>
      inSpan([operation.id, 'client'], () => callTwice({ operation, options, agent, base }, input, call)),
  ]);
  return {
    ...Object.fromEntries(calls),
    connections: () => connectionsOf(agent),
    close: () => agent.destroy(),
  } as Client<Operations>;
}

export { type Connections, connectionsOf } from './outbound/connections.ts';

interface AnyInput {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
}

interface Target {
  readonly operation: OperationSpec;
  readonly options: ClientOptions;
  readonly agent: Agent;
  readonly base: { readonly origin: string; readonly path: string };
}

/** The first attempt may use this share of a repeatable call's time, so that the second one has some left. */
const FIRST_SHARE = 2 / 3;

async function callTwice(target: Target, input: AnyInput, call: CallOptions): Promise<unknown> {
  const isRepeatable = target.operation.method === 'GET' || call.idempotencyKey !== undefined;
  const budgetMs = call.timeoutMs ?? target.options.timeoutMs;
  const began = performance.now();
  const first = await attempt(target, input, { ...call, timeoutMs: isRepeatable ? budgetMs * FIRST_SHARE : budgetMs });
  const repeats = isRepeatable && mayHelpToRepeat(first);
  const last = repeats
    ? await attempt(target, input, { ...call, timeoutMs: Math.max(1, budgetMs - (performance.now() - began)) })
    : first;
  try {
    return resultOf(target, last, call);
  } catch (error) {
    if (error instanceof Error && hadNoEffect(first) && hadNoEffect(last)) withoutEffect.add(error);
    throw error;
  }
}

/** What came of one attempt: an answer, or the fault that kept it away. */
type Attempt =
  | { readonly fault: unknown }
  | {
      readonly status: number;
      readonly body: unknown;
      readonly headers: Readonly<Record<string, string>>;
      readonly refusesUs: boolean;
    };

/** What a refused caller may be told of the neighbour's headers: when to come back, and which limit it met. */
const PASSED_HEADERS = ['retry-after', 'ratelimit', 'ratelimit-policy'] as const;
/** How authenticate.ts refuses a service token. */
const REFUSES_SERVICE = /^Bearer realm="service"/;

/** A refusal stays a refusal; only silence and the neighbour's own failures may pass. */
const mayHelpToRepeat = (attempted: Attempt): boolean => 'fault' in attempted || attempted.status >= 500;

const withoutEffect = new WeakSet<Error>();
/** The connection never came about, so nothing was sent. */
const NOT_SENT: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

const hadNoEffect = (attempted: Attempt): boolean =>
  'fault' in attempted ? NOT_SENT.has(Object(attempted.fault).code) : attempted.status >= 400 && attempted.status < 500;

/**
 * Whether the neighbour may have done what a failed call asked for: false when every attempt was refused or could not
 * even be sent, true when one was sent and its fate is not known. A refusal alone proves nothing when it answers the
 * second attempt: the first may have been applied in silence.
 */
export const mayHaveBeenApplied = (error: unknown): boolean => !(error instanceof Error && withoutEffect.has(error));

async function attempt(
  { operation, options, agent, base }: Target,
  input: AnyInput,
  call: CallOptions,
): Promise<Attempt> {
  const { method } = operation;
  const path = base.path + pathOf(operation, input);
  const headers = await headersOf(options, input, call);
  const body = input.body === undefined ? null : JSON.stringify(input.body);
  const patience = { timeoutMs: call.timeoutMs ?? options.timeoutMs, signal: call.signal };
  try {
    const answered = await wholeAnswer(agent, { origin: base.origin, path, method, headers, body }, patience);
    return {
      status: answered.status,
      body: answered.text === '' ? undefined : JSON.parse(answered.text),
      headers: passedHeaders(answered.headers),
      refusesUs: REFUSES_SERVICE.test(String(answered.headers['www-authenticate'])),
    };
  } catch (fault) {
    // The caller gave up: nobody waits for this answer, and the neighbour is not to blame.
    call.signal?.throwIfAborted();
    return { fault };
  }
}

function resultOf({ operation, options }: Target, attempted: Attempt, call: CallOptions): unknown {
  const onUnavailable = options.onUnavailable ?? 'DEPENDENCY_UNAVAILABLE';
  if ('fault' in attempted) throw unavailable(onUnavailable, RETRY_AFTER_SECONDS, attempted.fault);
  const { status, body } = attempted;
  if (status < 200 || status >= 400) throw refusal(operation, attempted, call, onUnavailable);
  const result = operation.result.safeParse(body);
  if (result.success) return result.data;
  throw new AppError(onUnavailable, `${operation.id} answered against its contract`, {
    cause: result.error,
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  });
}

/** What a neighbour's answer that is no success is to whoever asked. */
export function refusal(
  operation: Pick<OperationSpec, 'id' | 'errors'>,
  { status, body, headers, refusesUs }: Exclude<Attempt, { fault: unknown }>,
  call: CallOptions,
  onUnavailable: ErrorCode,
): AppError {
  const { code: wire, detail } = Object(body) as { code?: unknown; detail?: unknown };
  const code = codeFromWire(wire);
  const named = typeof wire === 'string' ? wire.slice(0, 100) : 'without a code';
  const sentence = typeof detail === 'string' ? detail : undefined;
  if (code && (operation.errors?.includes(code) || (!refusesUs && isPassedOn(code, call))))
    return new AppError(code, sentence, { headers, extra: LimitDetails.safeParse(body).data ?? {} });
  const cause = new Error(`${operation.id} answered ${status} ${named}: ${sentence ?? ''}`);
  return status >= 500
    ? unavailable(onUnavailable, RETRY_AFTER_SECONDS, cause)
    : new AppError('INTERNAL', cause.message, { cause });
}

const passedHeaders = (headers: Answered['headers']): Readonly<Record<string, string>> =>
  Object.fromEntries(
    PASSED_HEADERS.flatMap((name) => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );

/** A 401 is the user's only when the user's own token was sent; our service token being refused is our fault. */
const isPassedOn = (code: ErrorCode, call: CallOptions): boolean =>
  PASSED_ON.has(code) || (CREDENTIAL_CODES.has(code) && (call.token !== undefined || isToken(call.onBehalfOf)));

/** An `onBehalfOf` that is a bearer token or an API key and not an id. */
const isToken = (onBehalfOf: string | undefined): boolean =>
  onBehalfOf !== undefined && (onBehalfOf.includes('.') || isKeyText(onBehalfOf.replace(/^Bearer /, '')));

async function headersOf(options: ClientOptions, input: AnyInput, call: CallOptions): Promise<Record<string, string>> {
  const token = call.token ?? (await options.token?.());
  const { requestId, traceparent } = requestContext.origin() ?? {};
  return {
    accept: 'application/json',
    ...(input.body !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(call.onBehalfOf !== undefined && { 'x-on-behalf-of': call.onBehalfOf }),
    ...(call.idempotencyKey !== undefined && { 'idempotency-key': call.idempotencyKey }),
    ...(requestId !== undefined && { 'x-request-id': requestId }),
    ...(traceparent !== undefined && { traceparent }),
  };
}

function pathOf(operation: OperationSpec, input: AnyInput): string {
  const path = operation.path.replaceAll(/:(\w+)/g, (_, name: string) => segment(String(input.params?.[name])));
  const query = Object.entries(input.query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return query.length > 0 ? `${path}?${new URLSearchParams(query).toString()}` : path;
}

/** A dot segment, encoded or not, would climb to another operation (URL standard, section 4.4). */
function segment(value: string): string {
  if (value === '' || value === '.' || value === '..') throw new AppError('NOT_FOUND');
  return encodeURIComponent(value);
}
