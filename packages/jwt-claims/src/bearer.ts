import type { ErrorCode } from '@tollgate/contracts';
import { KeysUnavailableError, TokenError } from './errors.ts';

/** What a caller is told: a code of the error catalogue and the headers that belong to it. */
export type Refusal = Readonly<{ code: ErrorCode; headers: Readonly<Record<string, string>> }>;

/** RFC 6750 §3: which answer each failure gets. The reason of a TokenError stays inside. */
export const REFUSALS = {
  missing: { code: 'UNAUTHENTICATED', headers: { 'www-authenticate': 'Bearer' } },
  invalid: { code: 'INVALID_TOKEN', headers: { 'www-authenticate': 'Bearer error="invalid_token"' } },
  forbidden: { code: 'FORBIDDEN', headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' } },
  undecided: { code: 'DEPENDENCY_UNAVAILABLE', headers: { 'retry-after': '2' } },
} as const satisfies Record<string, Refusal>;

/** The answer to what a verifier threw; undefined for what is no verdict of a verifier. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof KeysUnavailableError) return REFUSALS.undecided;
  if (!(error instanceof TokenError)) return undefined;
  return error.reason === 'missing' ? REFUSALS.missing : REFUSALS.invalid;
}

/** Longer than any token: what comes here is refused before anything looks at it. */
const LONGEST_CREDENTIAL = 8192;

/**
 * The token of an `Authorization` header (RFC 6750 §2.1); undefined when there is no such header.
 * @throws TokenError `malformed` for any other scheme, an empty or an overlong one.
 */
export function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const token = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization)?.[1];
  if (token === undefined || token.length > LONGEST_CREDENTIAL) throw new TokenError('malformed', 'no bearer token');
  return token;
}
