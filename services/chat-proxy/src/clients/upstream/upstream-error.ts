import type { ErrorCode } from '@tollgate/contracts';
import { AppError, type AppErrorOptions } from '@tollgate/http-kit';
import type { UpstreamKind } from '../../domain/chatflow.ts';

export interface UpstreamErrorOptions extends AppErrorOptions {
  /** The status that came in place of a success. */
  readonly upstreamStatus?: number | undefined;
  /** Whether anything of an answer had come by then. */
  readonly hadBody?: boolean;
}

/** A failed exchange with an upstream, and how far it had come. */
export class UpstreamError extends AppError {
  readonly upstreamStatus: number | undefined;
  readonly hadBody: boolean;

  constructor(code: ErrorCode, detail: string, { upstreamStatus, hadBody = false, ...options }: UpstreamErrorOptions) {
    super(code, detail, options);
    this.upstreamStatus = upstreamStatus;
    this.hadBody = hadBody;
  }
}

const FIRST_SERVER_ERROR = 500;
const FIRST_ERROR_OF_A_GATEWAY = 501;
const AWAY: ReadonlySet<string> = new Set<ErrorCode>([
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_TIMEOUT',
  'UPSTREAM_INTERRUPTED',
]);

/**
 * Whether the server is away or ill, and not the request wrong. Flowise reports with 500 that a single flow is at fault, which
 * says nothing of the others at the same server.
 */
export function isServerFault(error: unknown, kind: UpstreamKind): boolean {
  if (!(error instanceof UpstreamError)) return false;
  const first = kind === 'flowise' ? FIRST_ERROR_OF_A_GATEWAY : FIRST_SERVER_ERROR;
  return AWAY.has(error.code) || (error.upstreamStatus ?? 0) >= first;
}

/** Whether the same question may be put to another server: this one was to blame, and nothing of an answer had come. */
export function isReplaceable(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  if (error.code === 'RATE_LIMITED' || error.code === 'UPSTREAM_UNAVAILABLE') return true;
  // An error in place of the first event.
  if (!(error instanceof UpstreamError)) return error.code === 'UPSTREAM_FAILED';
  return !error.hadBody && (error.code === 'UPSTREAM_TIMEOUT' || (error.upstreamStatus ?? 0) >= FIRST_SERVER_ERROR);
}
