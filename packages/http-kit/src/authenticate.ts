import { type Role, type ServiceName, UserId, type WorkspaceRole } from '@tollgate/contracts';
import { REFUSALS, refusalOf } from '@tollgate/jwt-claims';
import { parseCookie } from 'cookie';
import { AppError } from './app-error.ts';
import type { Authenticate, Caller, Headers, ServiceCaller, UserCaller } from './caller.ts';
import { credentialIn, invalidToken, single } from './keys/credential.ts';
import { idOfKey, isKeyText } from './keys/key-text.ts';
import type { VerifyKey } from './keys/key-verifier.ts';
import { requestContext } from './request-context.ts';

/** The claims this package reads from a verified access token (contract.md, Tokens). */
export interface AccessIdentity {
  readonly sub: string;
  readonly username?: string | undefined;
  readonly email?: string | undefined;
  readonly role: Role;
  readonly iat: number;
  readonly exp: number;
  readonly jti?: string | undefined;
  readonly sid?: string | undefined;
  readonly wid?: string | undefined;
  readonly wrole?: WorkspaceRole | undefined;
  readonly ver?: number | undefined;
  readonly mver?: number | undefined;
}

export interface AuthenticatorOptions {
  /** Throws for anything but a valid access token for this service. */
  readonly verifyAccess: (token: string) => Promise<AccessIdentity>;
  /** Throws for anything but a valid service token for this service. Absent: services are not accepted. */
  readonly verifyService?: (token: string) => Promise<{ readonly sub: ServiceName }>;
  /** Who an API key stands for; undefined for one that does not count. Absent: keys are not accepted. */
  readonly verifyKey?: VerifyKey;
  /** Auth alone accepts its access cookie; state-changing calls then need an allowed Origin. */
  readonly cookie?: { readonly name: string; readonly allowedOrigins: readonly string[] };
  /**
   * The workspace of tokens that name none. A request whose `X-Workspace-Id` is not the workspace of its token is refused
   * then: a header alone opens nothing. Auth leaves this out, because it looks the membership up.
   */
  readonly defaultWorkspaceId?: string;
}

/** What a refused service token is told to belong to. */
const SERVICE_REALM = 'service';
const BEARER = /^Bearer /i;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Reads who is calling from `Authorization: Bearer` (RFC 6750, section 2.1) or the headers of API keys, the service's cookie,
 * and `X-On-Behalf-Of`. A bad credential never falls back to a cookie.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  return async (request) => {
    const caller = await callerOf(options, request);
    // At once: whoever is refused from now on, by a check of the service or of the route, is refused by name.
    if (caller) requestContext.nameCaller(caller);
    return caller;
  };
}

/** The user that a service acts for, as `X-On-Behalf-Of` names one. */
export type Subject = NonNullable<ServiceCaller['onBehalfOf']>;
export type ReadSubject = (subject: string) => Promise<Subject>;

/** Reads subjects that a service names in the body of a call for several users. */
export const createSubjectReader = (options: AuthenticatorOptions): ReadSubject => {
  return (subject) => subjectOf(options, subject.replace(BEARER, ''), {});
};

async function callerOf(
  options: AuthenticatorOptions,
  { method, headers, ip }: Parameters<Authenticate>[0],
): Promise<Caller | undefined> {
  const credential = await verified(() => credentialIn(headers));
  if (credential !== undefined) return callerWith(options, credential, { headers, ip });
  const cookie = options.cookie && cookieValue(single(headers, 'cookie'), options.cookie.name);
  if (!options.cookie || cookie === undefined) return undefined;
  if (!SAFE_METHODS.has(method)) requireAllowedOrigin(headers, options.cookie.allowedOrigins);
  return userCaller(options, cookie);
}

async function callerWith(
  options: AuthenticatorOptions,
  credential: string,
  { headers, ip }: { headers: Headers; ip: string | undefined },
): Promise<Caller> {
  if (options.verifyService && tokenKind(credential) === 'service') return serviceCaller(options, credential, headers);
  const caller = await ownerOf(options, credential, ip);
  requireOwnWorkspace(options, headers, caller);
  return caller;
}

/** What the caller does not belong to does not exist (contract.md, Roles). */
function requireOwnWorkspace({ defaultWorkspaceId }: AuthenticatorOptions, headers: Headers, caller: UserCaller): void {
  const named = headers['x-workspace-id'];
  if (defaultWorkspaceId === undefined || named === undefined) return;
  if (named !== (caller.workspaceId ?? defaultWorkspaceId)) throw new AppError('NOT_FOUND', 'Workspace not found');
}

async function userCaller(options: AuthenticatorOptions, token: string): Promise<UserCaller> {
  const claims = await verified(async () => {
    const { sub, ...others } = await options.verifyAccess(token);
    return { userId: UserId.parse(sub), ...others };
  });
  return {
    kind: 'user',
    userId: claims.userId,
    username: claims.username ?? '',
    email: claims.email ?? '',
    role: claims.role,
    ...(claims.wid !== undefined && { workspaceId: claims.wid }),
    ...(claims.wrole !== undefined && { workspaceRole: claims.wrole }),
    ...(claims.ver !== undefined && { version: claims.ver }),
    ...(claims.mver !== undefined && { memberVersion: claims.mver }),
    ...(claims.sid !== undefined && { sessionId: claims.sid }),
    ...(claims.jti !== undefined && { tokenId: claims.jti }),
    token,
    issuedAt: claims.iat * 1000,
    expiresAt: claims.exp * 1000,
  };
}

async function serviceCaller(options: AuthenticatorOptions, token: string, headers: Headers): Promise<ServiceCaller> {
  const { verifyService } = options;
  if (!verifyService) throw new AppError('INVALID_TOKEN');
  const { sub: service } = await verified(() => verifyService(token), SERVICE_REALM);
  const subject = single(headers, 'x-on-behalf-of')?.replace(BEARER, '');
  if (subject === undefined) return { kind: 'service', service };
  return { kind: 'service', service, onBehalfOf: await subjectOf(options, subject, headers) };
}

async function subjectOf(options: AuthenticatorOptions, subject: string, headers: Headers): Promise<Subject> {
  // No id has a dot, and a refusal by the schema costs more than all else that is done for a token.
  const id = subject.includes('.') ? undefined : UserId.safeParse(subject);
  if (id?.success) return { userId: id.data };
  // Without an address: the one we see is the service's.
  const user = await ownerOf(options, subject);
  requireOwnWorkspace(options, headers, user);
  return { userId: user.userId, user };
}

const ownerOf = (options: AuthenticatorOptions, credential: string, ip?: string): Promise<UserCaller> =>
  isKeyText(credential) ? keyCaller(options, credential, ip) : userCaller(options, credential);

/** Mistyped keys are told by their checksum, before anybody is asked. */
async function keyCaller({ verifyKey }: AuthenticatorOptions, key: string, ip?: string): Promise<UserCaller> {
  const found = idOfKey(key) === undefined ? undefined : await verifyKey?.(key, ip);
  if (!found) throw invalidToken();
  return { ...found, token: key };
}

/** Tells the service that it is itself what was refused, and not the user it acts for (RFC 9110, section 11.5). */
async function verified<T>(verify: () => T | Promise<T>, realm?: string): Promise<T> {
  try {
    return await verify();
  } catch (error) {
    // A verifier that could not decide says so itself; that is no bad token.
    if (error instanceof AppError) throw error;
    const { proven } = Object(error) as { proven?: { sub: string; wid?: string } };
    if (proven) requestContext.nameSubject({ userId: proven.sub, workspaceId: proven.wid });
    const { code, headers } = refusalOf(error) ?? REFUSALS.invalid;
    const challenge = headers['www-authenticate']?.replace(/^Bearer ?/, `Bearer realm="${realm}", `);
    const named = realm !== undefined && challenge !== undefined && { 'www-authenticate': challenge };
    throw new AppError(code, undefined, { cause: error, headers: { ...headers, ...named } });
  }
}

/** Only chooses the verifier; nothing in the payload is believed before that verifier has accepted it. */
function tokenKind(token: string): unknown {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    return Object(payload).type;
  } catch {
    return undefined;
  }
}

/** OWASP CSRF cheat sheet, "Verifying Origin": browsers send Origin with every state-changing request. */
function requireAllowedOrigin(headers: Headers, allowed: readonly string[]): void {
  const origin = single(headers, 'origin');
  if (origin === undefined || !allowed.includes(origin)) throw new AppError('CSRF_REJECTED');
}

const cookieValue = (header: string | undefined, name: string): string | undefined =>
  header === undefined ? undefined : parseCookie(header)[name];
