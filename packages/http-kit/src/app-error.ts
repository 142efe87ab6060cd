import { ERROR_CODES, type ErrorCode } from '@tollgate/contracts';

export interface FieldFault {
  readonly path: string;
  readonly message: string;
}

export interface AppErrorOptions {
  readonly cause?: unknown;
  /** Extra response headers, for example `retry-after`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly errors?: readonly FieldFault[];
  /** Further public members of the problem document (RFC 9457, section 3.2). */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/**
 * The one error class. The status and the public sentence belong to the code (contracts/error-codes.ts).
 * `detail` is shown to the caller for a 4xx and only logged for a 5xx.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly errors: readonly FieldFault[] | undefined;
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, detail?: string, options: AppErrorOptions = {}) {
    super(detail ?? ERROR_CODES[code].title, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.detail = detail;
    this.headers = options.headers ?? {};
    this.errors = options.errors;
    this.extra = options.extra ?? {};
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

/** A 503 that says when to come back, in whole seconds. */
export const unavailable = (code: ErrorCode, retryAfterSeconds: number, cause?: unknown): AppError =>
  new AppError(code, undefined, { cause, headers: { 'retry-after': String(retryAfterSeconds) } });
