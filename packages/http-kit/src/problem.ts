import { type ErrorCode, type Problem, problemOf } from '@tollgate/contracts';
import { AppError } from './app-error.ts';
import { requestContext } from './request-context.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** What a framework throws before our code runs, by its status. */
const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'VALIDATION_FAILED',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  408: 'REQUEST_TIMEOUT',
  413: 'BODY_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  431: 'HEADERS_TOO_LARGE',
};

/** Any thrown value as an AppError; what is not ours becomes INTERNAL with the original as its cause. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const { statusCode, code } = Object(thrown) as Record<string, unknown>;
  // Only a framework's own errors: a driver's or a neighbour's 404 is no 404 of ours.
  const isFrameworks = typeof code === 'string' && code.startsWith('FST_');
  const known = isFrameworks ? CODE_BY_STATUS[Number(statusCode)] : undefined;
  return known ? new AppError(known) : new AppError('INTERNAL', undefined, { cause: thrown });
}

/** The problem document (RFC 9457) of an error; a 5xx shows its public sentence only. */
export function toProblem(error: AppError): Problem {
  const problem = problemOf(error.code, error.status < 500 ? error.detail : undefined);
  return {
    ...problem,
    requestId: requestContext.get()?.requestId ?? '',
    error: problem.detail,
    message: problem.detail,
    ...(error.errors && { errors: [...error.errors] }),
    ...error.extra,
  };
}
