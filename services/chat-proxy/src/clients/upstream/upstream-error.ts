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

const MOST_WORDS = 500;
const CODE = /^[\w.-]{1,64}$/;

/** What an upstream says of its failure. It may quote the question: logs hide what stands under this name. */
interface Quoting extends Error {
  readonly answer: string;
}

/** `what` may be logged, the upstream's own `words` may not. */
export const quoting = (what: string, words: string): Quoting =>
  Object.assign(new Error(what), { answer: words.slice(0, MOST_WORDS) });

/** The upstream's own words, to be looked through for what it means. */
export const wordsOf = ({ cause }: Error): string =>
  cause instanceof Error && 'answer' in cause ? String(cause.answer) : '';

/** What may be logged of an error object of OpenAI's API: its type and its code, when they are such. */
export function codesOf(error: unknown): string {
  const { type, code } = Object(error) as Record<string, unknown>;
  const codes = [type, code].filter((one) => typeof one === 'string' && CODE.test(one));
  return codes.length > 0 ? ` (${codes.join(', ')})` : '';
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
