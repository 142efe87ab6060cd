/**
 * Every code a service may answer with: status (RFC 9110) and the sentence the public sees.
 * On the wire the code is written in lower case (`insufficient_credits`).
 */
export const ERROR_CODES = {
  VALIDATION_FAILED: { status: 400, title: 'The request is not valid' },
  UNSUPPORTED_PARAMETER: { status: 400, title: 'This parameter is not supported' },
  CONTEXT_LENGTH_EXCEEDED: { status: 400, title: 'This is more than the model can take in at once' },
  UPSTREAM_REJECTED: { status: 400, title: 'The model does not accept this request' },
  MALFORMED_JSON: { status: 400, title: 'The body is not valid JSON' },
  IDEMPOTENCY_KEY_REQUIRED: { status: 400, title: 'An Idempotency-Key header is required' },
  INVALID_CODE: { status: 400, title: 'The code or token is not valid or no longer valid' },
  DUPLICATE_USERNAME: { status: 400, title: 'Username already exists' },
  DUPLICATE_EMAIL: { status: 400, title: 'Email already exists' },
  WEAK_PASSWORD: { status: 400, title: 'The password is too easy to guess' },
  WRONG_PASSWORD: { status: 400, title: 'Current password is incorrect' },
  REFRESH_TOKEN_REQUIRED: { status: 400, title: 'Refresh token is required' },
  CONFIRMATION_REQUIRED: { status: 400, title: 'Confirmation required' },
  OWN_ACCOUNT: { status: 400, title: 'This cannot be done to your own account' },
  INVALID_SIGNATURE: { status: 400, title: 'The event is not signed as it must be' },
  NEGATIVE_RESULT: { status: 400, title: 'The result would be negative' },

  UNAUTHENTICATED: { status: 401, title: 'Authentication is required' },
  INVALID_TOKEN: { status: 401, title: 'The token is not valid' },
  INVALID_CREDENTIALS: { status: 401, title: 'Invalid credentials' },
  EMAIL_NOT_VERIFIED: { status: 401, title: 'Email not verified' },
  ACCESS_REVOKED: { status: 401, title: 'The access that this was begun with has ended' },
  INVALID_CHALLENGE: { status: 401, title: 'This step of the login is over; please log in again' },
  MFA_REQUIRED: { status: 401, title: 'This account has a second factor; please log in at the auth service' },
  INVALID_SECOND_FACTOR: { status: 401, title: 'The code is not right' },
  INVALID_REFRESH_TOKEN: { status: 401, title: 'Invalid refresh token' },

  INSUFFICIENT_CREDITS: { status: 402, title: 'Insufficient credits' },
  MODEL_NOT_PRICED: { status: 402, title: 'This model has no price and cannot be used' },
  BUDGET_EXCEEDED: { status: 402, title: 'A budget is used up' },

  LAST_ADMIN: { status: 403, title: 'The last administrator must remain one' },
  ACCOUNT_LOCKED: { status: 403, title: 'This account is locked' },
  ACCOUNT_DISABLED: { status: 403, title: 'This account is disabled' },
  KEY_REVOKED: { status: 403, title: 'This API key was revoked' },
  WORKSPACE_DISABLED: { status: 403, title: 'This workspace is disabled' },
  PASSWORD_EXPIRED: { status: 403, title: 'This password has expired; a link for a new one was mailed' },
  MFA_ENROLMENT_REQUIRED: { status: 403, title: 'This account must first set up a second factor' },
  STEP_UP_REQUIRED: { status: 403, title: 'Please prove again who you are' },
  INSUFFICIENT_SCOPE: { status: 403, title: 'This API key may not do this' },
  LAST_OWNER: { status: 403, title: 'A workspace must keep its owner' },
  FORBIDDEN: { status: 403, title: 'You may not do this' },
  SERVICE_TOKEN_REQUIRED: { status: 403, title: 'Only a service of the platform may do this' },
  SOCKET_ORIGIN_REJECTED: { status: 403, title: 'Sockets may not be opened from this page' },
  ORIGIN_NOT_ALLOWED: { status: 403, title: 'This chatflow may not be used from this page' },
  CHATFLOW_ACCESS_DENIED: { status: 403, title: 'Access denied to this chatflow' },
  ALLOCATION_CAP_EXCEEDED: { status: 403, title: 'This is more than you may allocate' },
  CSRF_REJECTED: { status: 403, title: 'The request does not come from an allowed page' },

  NOT_FOUND: { status: 404, title: 'Not found' },
  MODEL_NOT_FOUND: { status: 404, title: 'This model does not exist, or you may not use it' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'This method is not allowed here' },
  REQUEST_TIMEOUT: { status: 408, title: 'The request took too long to arrive' },

  CONFLICT: { status: 409, title: 'The request conflicts with the present state' },
  HOLD_ACTIVE: { status: 409, title: 'The hold is there and is still running' },
  HOLD_CLOSED: { status: 409, title: 'The hold is already closed' },
  HOLD_FENCED: { status: 409, title: 'Another process has taken over this hold' },
  SESSION_BUSY: { status: 409, title: 'This conversation is answering another message' },
  ANSWER_STOPPED: { status: 409, title: 'The answer was stopped' },
  ANSWER_NOT_KEPT: { status: 409, title: 'This was answered before, and the answer is not kept' },
  IDEMPOTENCY_IN_PROGRESS: { status: 409, title: 'The first request with this key is still running' },
  ALREADY_GRANTED: { status: 409, title: 'This was granted before' },
  REFUND_EXCEEDS_CHARGE: { status: 409, title: 'This is more than is left to refund' },
  VOUCHER_REDEEMED: { status: 409, title: 'This voucher has been redeemed' },
  DUPLICATE_ACCOUNT: { status: 409, title: 'The account already exists' },

  URI_TOO_LONG: { status: 414, title: 'The address is too long' },
  EXPECTATION_FAILED: { status: 417, title: 'What the request expects is not offered' },
  BODY_TOO_LARGE: { status: 413, title: 'The body is too large' },
  FILE_QUOTA_EXCEEDED: { status: 413, title: 'Your files take up all the space you may use; please delete some' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'The content type is not supported' },
  RANGE_NOT_SATISFIABLE: { status: 416, title: 'The file has no such range' },
  NO_THUMBNAIL: { status: 422, title: 'There is no small picture of this file' },
  INVALID_AMOUNT: { status: 422, title: 'The amount is not acceptable' },
  PAYMENT_MISMATCH: { status: 422, title: 'The payment does not fit the order' },
  INVALID_PRICE: { status: 422, title: 'The price is not acceptable' },
  IDEMPOTENCY_KEY_REUSED: { status: 422, title: 'This Idempotency-Key was used for another request' },
  SYNC_REFUSED: { status: 422, title: 'The synchronisation would delete too much and was refused' },
  PARALLEL_LIMIT: { status: 429, title: 'Too many answers are under way at once' },
  RATE_LIMITED: { status: 429, title: 'Too many requests' },
  UPGRADE_REQUIRED: { status: 426, title: 'This address is for WebSockets' },
  HEADERS_TOO_LARGE: { status: 431, title: 'The headers are too large' },

  INTERNAL: { status: 500, title: 'Something went wrong on our side' },
  UPSTREAM_FAILED: { status: 502, title: 'The AI server failed to answer' },
  UPSTREAM_UNAVAILABLE: { status: 502, title: 'The AI server cannot be reached' },
  UPSTREAM_PROTOCOL_ERROR: { status: 502, title: 'The AI server answered with something unreadable' },
  UPSTREAM_INTERRUPTED: { status: 502, title: 'The AI server broke off its answer' },
  DEPENDENCY_UNAVAILABLE: { status: 503, title: 'A part of the platform cannot be reached at the moment' },
  ACCOUNTING_UNAVAILABLE: { status: 503, title: 'Credits cannot be checked at the moment' },
  STORAGE_FULL: { status: 503, title: 'Storage is full' },
  SHUTTING_DOWN: { status: 503, title: 'The service is shutting down' },
  SERVER_SHUTDOWN: { status: 503, title: 'The service was stopped while it answered; please ask again' },
  UPSTREAM_TIMEOUT: { status: 504, title: 'The AI server took too long to answer' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** The code as it stands in a response body: lower case. */
export const wireCode = (code: ErrorCode): string => code.toLowerCase();

/** The code a response body names, or undefined when it is not one of ours. */
export function codeFromWire(value: unknown): ErrorCode | undefined {
  const code = typeof value === 'string' ? value.toUpperCase() : '';
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : undefined;
}
