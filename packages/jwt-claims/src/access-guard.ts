import { problemOf, type Role } from '@tollgate/contracts';
import { bearerToken, type Refusal, REFUSALS, refusalOf } from './bearer.ts';
import type { AccessClaims } from './claims.ts';
import type { Verifier } from './verify.ts';

export type AccessGuardOptions = Readonly<{
  verifier: Pick<Verifier, 'verifyAccess'>;
  /** Who may pass; every user when absent. */
  roles?: readonly [Role, ...Role[]];
}>;

/** An answer in the terms of HTTP, for whatever framework writes it. */
export type RefusedAnswer = Readonly<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

type Verdict = Readonly<{ claims: AccessClaims; refused?: undefined }> | Readonly<{ refused: RefusedAnswer }>;

/** Judges the `Authorization` header of one request. Throws only what is neither a verdict nor keys that are away. */
export type AccessGuard = (authorization: string | undefined) => Promise<Verdict>;

export const createAccessGuard =
  ({ verifier, roles }: AccessGuardOptions): AccessGuard =>
  async (authorization) => {
    try {
      const claims = await verifier.verifyAccess(bearerToken(authorization));
      return roles && !roles.includes(claims.role) ? { refused: answerOf(REFUSALS.forbidden) } : { claims };
    } catch (error) {
      const refusal = refusalOf(error);
      if (!refusal) throw error;
      return { refused: answerOf(refusal) };
    }
  };

/** RFC 9457 §3; the reason stays inside, as everywhere on the platform. */
function answerOf({ code, headers }: Refusal): RefusedAnswer {
  const problem = problemOf(code);
  return {
    status: problem.status,
    headers: { 'content-type': 'application/problem+json; charset=utf-8', 'cache-control': 'no-store', ...headers },
    body: JSON.stringify(problem),
  };
}

/** The claims of requests that a guard has let pass. Kept beside the request, where no body or query can put them. */
export function createPassedRequests<Request extends object>() {
  const passed = new WeakMap<Request, AccessClaims>();
  return {
    note: (request: Request, claims: AccessClaims): void => void passed.set(request, claims),
    /** @throws Error when no guard stands before the handler: a fault of the program, never of a caller. */
    claimsOf(request: Request): AccessClaims {
      const claims = passed.get(request);
      if (!claims) throw new Error('no access guard stands before this handler');
      return claims;
    },
  };
}
