import { type Permission, PERMISSIONS } from '@tollgate/contracts';
import { AppError } from '../app-error.ts';
import type { Authenticate, Caller, UserCaller } from '../caller.ts';
import type { Route } from '../route.ts';

/** The caller of a route, or the refusal: runs before the body is read. */
export async function admit(
  route: Route,
  authenticate: Authenticate,
  request: Parameters<Authenticate>[0],
): Promise<Caller | undefined> {
  const { permission, callerPermission } = route.operation;
  const isPublic = PERMISSIONS[permission] === 'anyone';
  if (isPublic && callerPermission === undefined) return undefined;
  const needed = callerPermission ?? permission;
  const callers = PERMISSIONS[needed];
  const caller = await authenticate(request);
  if (!caller && isPublic) return undefined;
  if (!caller) throw new AppError('UNAUTHENTICATED', undefined, { headers: { 'www-authenticate': 'Bearer' } });
  if (callers === 'service') {
    if (caller.kind !== 'service') throw new AppError('SERVICE_TOKEN_REQUIRED');
    return caller;
  }
  if (caller.kind !== 'user' || !(callers as readonly string[]).includes(caller.role)) throw new AppError('FORBIDDEN');
  requireScope(caller, needed);
  return caller;
}

/** A key is for what its scopes name. Permissions that no scope can name, such as those on the own account, are never its. */
function requireScope({ apiKey }: UserCaller, permission: Permission): void {
  if (!apiKey || apiKey.scopes.includes(permission)) return;
  throw new AppError('INSUFFICIENT_SCOPE', undefined, {
    // RFC 6750, section 3.1.
    headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${permission}"` },
  });
}
