import type { ServerResponse } from 'node:http';
import { stringifySetCookie } from 'cookie';
import type { AppError } from './app-error.ts';
import { PROBLEM_TYPE, toProblem } from './problem.ts';
import type { Cookie, Reply } from './route.ts';
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
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      ...reply.headers,
      ...(cookies.length > 0 && { 'set-cookie': cookies }),
    },
    body: JSON.stringify(reply.body),
  };
}

/** An error as problem+json; logged here, once, when it is ours. */
export function outgoingError(error: AppError, logger: Logger): Outgoing {
  if (error.status >= 500)
    logger.error('request failed', { code: error.code, detail: error.detail, cause: error.cause });
  return {
    status: error.status,
    headers: { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store', ...error.headers },
    body: JSON.stringify(toProblem(error)),
  };
}

/** For the raw response of either framework. */
export function send(response: ServerResponse, { status, headers, body }: Outgoing): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}

const cookieHeader = ({ name, value, options: { maxAgeMs, ...rest } }: Cookie): string =>
  stringifySetCookie({ name, value, ...rest, ...(maxAgeMs !== undefined && { maxAge: Math.floor(maxAgeMs / 1000) }) });
