import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AccessGuardOptions, createAccessGuard, createPassedRequests } from './access-guard.ts';
import type { AccessClaims } from './claims.ts';

export type { AccessGuardOptions } from './access-guard.ts';

/** Fits Express without narrowing what the next handler learns of its path, and whatever else takes such functions. */
type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => Promise<void>;

const passed = createPassedRequests<IncomingMessage>();

/**
 * Lets requests with a good access token pass, of users with one of the `roles` when they are given. Others get 401 or 403 as
 * `application/problem+json` with `WWW-Authenticate`, or 503 while the keys cannot be had.
 */
export function requireAccess(options: AccessGuardOptions): Middleware {
  const judge = createAccessGuard(options);
  return async (request, response, next) => {
    const verdict = await judge(request.headers.authorization);
    if (verdict.refused) {
      response.writeHead(verdict.refused.status, verdict.refused.headers).end(verdict.refused.body);
      return;
    }
    passed.note(request, verdict.claims);
    next();
  };
}

/** Whose token it was, for handlers behind {@link requireAccess}. */
export const claimsOf = (request: IncomingMessage): AccessClaims => passed.claimsOf(request);
