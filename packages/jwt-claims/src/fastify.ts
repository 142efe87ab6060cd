import type { FastifyReply, FastifyRequest } from 'fastify';
import { type AccessGuardOptions, createAccessGuard, createPassedRequests } from './access-guard.ts';
import type { AccessClaims } from './claims.ts';

export type { AccessGuardOptions } from './access-guard.ts';

const passed = createPassedRequests<object>();

/**
 * A hook for `onRequest`. Lets requests with a good access token pass, of users with one of the `roles` when they are given.
 * Others get 401 or 403 as `application/problem+json` with `WWW-Authenticate`, or 503 while the keys cannot be had.
 */
export function requireAccess(options: AccessGuardOptions) {
  const judge = createAccessGuard(options);
  return async function guard(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const verdict = await judge(request.headers.authorization);
    if (verdict.refused)
      return reply.code(verdict.refused.status).headers(verdict.refused.headers).send(verdict.refused.body);
    passed.note(request.raw, verdict.claims);
    return undefined;
  };
}

/** Whose token it was, for handlers behind {@link requireAccess}. */
export const claimsOf = (request: { readonly raw: object }): AccessClaims => passed.claimsOf(request.raw);
