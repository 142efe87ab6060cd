import type { ServerResponse } from 'node:http';
import { stringifySetCookie } from 'cookie';
import { type ErrorDialect, wireCode } from '@tollgate/contracts';
import type { AppError } from '../app-error.ts';
import { errorBody } from './dialects.ts';
import { requestContext } from '../request-context.ts';
import type { Cookie, Reply } from '../route.ts';
import type { Logger } from './service-options.ts';

export interface Outgoing {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string;
}

/** A reply as status, headers and JSON text. API answers are never cached by default. */
export function outgoing(reply: Reply): Outgoing {
  const cookies = reply.cookies.map(cookieHeader);
  return {
    status: reply.status,
    headers: {
      ...(reply.body !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
      'cache-control': 'no-store',
      ...reply.headers,
      ...(cookies.length > 0 && { 'set-cookie': cookies }),
    },
    body: reply.body === undefined ? '' : JSON.stringify(reply.body),
  };
}

/** An error in the language of the operation, and of a client that accepts only this. */
export function outgoingError(error: AppError, dialect: ErrorDialect, accept?: string): Outgoing {
  const { type, body } = errorBody(error, dialect, accept);
  return {
    status: error.status,
    headers: { 'content-type': type, 'cache-control': 'no-store', ...error.headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
}

/** Notes what a request was answered with, and logs it once when it is ours; a client that left is nobody's failure. */
export function logFailure(error: AppError, logger: Logger, left?: AbortSignal): void {
  requestContext.nameFailure(wireCode(error.code));
  const isAbort = Object(error.cause).name === 'AbortError';
  if (error.status < 500 || (left?.aborted && isAbort)) return;
  logger.error('request failed', { code: error.code, detail: error.detail, cause: error.cause });
}

/** Aborts when the connection closes before the answer is complete. One signal for each response. */
export function clientLeft(response: ServerResponse): AbortSignal {
  const known = signals.get(response);
  if (known) return known;
  const controller = new AbortController();
  signals.set(response, controller.signal);
  if (response.destroyed) controller.abort();
  response.on('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}
const signals = new WeakMap<ServerResponse, AbortSignal>();

/** The status for the metrics; 499 (nginx's convention) when the client left before there was one. */
export const observedStatus = (response: ServerResponse): number => (response.headersSent ? response.statusCode : 499);

/** For the raw response of either framework. */
export function send(response: ServerResponse, { status, headers, body }: Outgoing): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // RFC 9110, section 8.6: a 204 must not have a Content-Length.
  if (status !== 204) response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}

const cookieHeader = ({ name, value, options: { maxAgeMs, ...rest } }: Cookie): string =>
  stringifySetCookie({ name, value, ...rest, ...(maxAgeMs !== undefined && { maxAge: Math.floor(maxAgeMs / 1000) }) });
