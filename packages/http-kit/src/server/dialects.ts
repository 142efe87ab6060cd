import type { ErrorDialect } from '@tollgate/contracts';
import type { AppError } from '../app-error.ts';
import { PROBLEM_TYPE, toProblem } from '../problem.ts';

interface ErrorBody {
  readonly type: string;
  readonly body: object | string;
}

const TEXT_TYPE = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
/** Paths outside every operation answer in the language of whoever asks there. */
const OPENAI_PATHS = /^\/v1(?:\/|$)/;

export const dialectOfPath = (path: string): ErrorDialect => (OPENAI_PATHS.test(path) ? 'openai' : 'problem');

/** An error as a body in one of the languages our clients speak. */
export function errorBody(error: AppError, dialect: ErrorDialect, accept = ''): ErrorBody {
  const problem = toProblem(error);
  if (dialect === 'problem') return { type: PROBLEM_TYPE, body: problem };
  // A chat window of Flowise that waits for a stream shows what comes instead of it to its user, letter by letter.
  if (dialect === 'flowise' && accept.includes('text/event-stream')) return { type: TEXT_TYPE, body: problem.detail };
  if (dialect === 'flowise') return { type: JSON_TYPE, body: { ...problem, statusCode: error.status, success: false } };
  return { type: JSON_TYPE, body: openAiError(error) };
}

/** OpenAI API reference, "Errors": SDKs choose their exception by the status and show `message`. */
export function openAiError(error: AppError) {
  const { detail, code, requestId } = toProblem(error);
  const fault = error.status < 500 ? error.errors?.[0] : undefined;
  return {
    error: {
      message: fault ? `${detail}: ${fault.path} ${fault.message}` : detail,
      type: typeOf(error.status),
      param: fault?.path ?? null,
      code,
      request_id: requestId,
    },
  };
}

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'insufficient_quota',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
};

const typeOf = (status: number): string => TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'server_error');
