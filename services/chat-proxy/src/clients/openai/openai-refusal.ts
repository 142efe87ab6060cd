import { AppError } from '@tollgate/http-kit';

/** Statuses by which a server says that the request is at fault, and not it. */
const REJECTED = /^the upstream answered (?:400|413|422): (.*)$/s;
const TOO_LONG = /context_length_exceeded|context length|context window|maximum context|too many tokens/i;

/**
 * A client that speaks the server's language must learn that its own request is wrong, or it would repeat it. What the server
 * says about it stays here: it may name hosts, accounts and limits of the operator.
 */
export function refusalOf(error: unknown): unknown {
  const said = error instanceof AppError && error.code === 'UPSTREAM_FAILED' ? REJECTED.exec(causeOf(error)) : null;
  if (!said) return error;
  const code = TOO_LONG.test(said[1] ?? '') ? 'CONTEXT_LENGTH_EXCEEDED' : 'UPSTREAM_REJECTED';
  return new AppError(code, undefined, { cause: Object(error).cause });
}

const causeOf = ({ cause }: AppError): string => (cause instanceof Error ? cause.message : '');
