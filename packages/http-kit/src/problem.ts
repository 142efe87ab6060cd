import { ERROR_CODES, type ErrorCode, type Problem, wireCode } from '@tollgate/contracts';
import { AppError } from './app-error.ts';
import { requestContext } from './request-context.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** What a framework or a body parser throws before our code runs, by its `status`/`statusCode`. */
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
  const { status, statusCode, type, code } = Object(thrown) as Record<string, unknown>;
  if (type === 'entity.parse.failed' || code === 'FST_ERR_CTP_INVALID_JSON_BODY' || thrown instanceof SyntaxError) {
    // Without the cause: a body parser puts the raw body into its error, and that must never reach a log.
    return new AppError('MALFORMED_JSON');
  }
  const known = CODE_BY_STATUS[Number(status ?? statusCode)];
  return known ? new AppError(known) : new AppError('INTERNAL', undefined, { cause: thrown });
}

/** The problem document (RFC 9457) of an error; a 5xx shows its public sentence only. */
export function toProblem(error: AppError): Problem {
  const { status, title } = ERROR_CODES[error.code];
  const sentence = status < 500 && error.detail !== undefined ? error.detail : title;
  const code = wireCode(error.code);
  return {
    type: `urn:tollgate:problem:${code}`,
    title,
    status,
    detail: sentence,
    code,
    requestId: requestContext.get()?.requestId ?? '',
    error: sentence,
    message: sentence,
    ...(error.errors && { errors: [...error.errors] }),
    ...error.extra,
  };
}
