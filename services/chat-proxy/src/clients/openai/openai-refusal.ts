import { AppError } from '@tollgate/http-kit';
import { UpstreamError, wordsOf } from '../upstream/upstream-error.ts';

/** Statuses by which a server says that the request is at fault, and not it. */
const REJECTED: ReadonlySet<number | undefined> = new Set([400, 413, 422]);
const TOO_LONG = /context_length_exceeded|context length|context window|maximum context|too many tokens/i;

/**
 * A client that speaks the server's language must learn that its own request is wrong, or it would repeat it. What the server
 * says about it stays here: it may name hosts, accounts and limits of the operator.
 */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof UpstreamError) || !REJECTED.has(error.upstreamStatus)) return error;
  const isTooLong = TOO_LONG.test(wordsOf(error));
  const { cause } = error;
  return new AppError(isTooLong ? 'CONTEXT_LENGTH_EXCEEDED' : 'UPSTREAM_REJECTED', undefined, { cause });
}
