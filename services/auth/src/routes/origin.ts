import { AppError, type Cookie, type RequestContext } from '@tollgate/http-kit';
import type { Origin } from '../domain/audit-event.ts';
import type { TokenPair } from '../flows/sessions/open-session.ts';

/** Browsers name the page in every request that changes something; programs have none to name. */
export const originOf = ({ ip, userAgent, requestId, headers }: RequestContext): Origin => ({
  ip,
  userAgent,
  requestId,
  isPage: headers['origin'] !== undefined,
});

export type CookieRules = Readonly<{
  names: CookieNames;
  isSecure: boolean;
  /** Pages whose cookies count for state-changing calls. */
  allowedOrigins: readonly string[];
}>;

export type CookieNames = Readonly<{
  access: string;
  refresh: string;
  device: string;
  refreshPath: string;
  loginPath: string;
}>;

/**
 * With the prefix a browser takes the cookie only from this very host and over TLS (RFC 6265bis, section 4.1.3.2), so that no
 * sister domain can plant a session; it demands the path `/`. Without TLS there is no prefix; then the cookies go to
 * the routes that read them alone. docs/adr/0015-idle-limits.md.
 */
export const cookieNames = (isSecure: boolean): CookieNames =>
  isSecure
    ? {
        access: '__Host-accessToken',
        refresh: '__Host-refreshToken',
        device: '__Host-trustedDevice',
        refreshPath: '/',
        loginPath: '/',
      }
    : {
        access: 'accessToken',
        refresh: 'refreshToken',
        device: 'trustedDevice',
        refreshPath: '/api/auth/refresh',
        loginPath: '/api/auth',
      };

export const tokenCookies = (pair: TokenPair, { names, isSecure: secure }: CookieRules): Cookie[] => [
  cookie(names.access, pair.accessToken, { path: '/', maxAgeMs: pair.accessMs, secure }),
  cookie(names.refresh, pair.refreshToken, { path: names.refreshPath, maxAgeMs: pair.refreshMs, secure }),
];

export const clearedCookies = ({ names, isSecure: secure }: CookieRules): Cookie[] => [
  cookie(names.access, '', { path: '/', maxAgeMs: 0, secure }),
  cookie(names.refresh, '', { path: names.refreshPath, maxAgeMs: 0, secure }),
];

const cookie = (name: string, value: string, options: { path: string; maxAgeMs: number; secure: boolean }): Cookie => ({
  name,
  value,
  options: { ...options, httpOnly: true, sameSite: 'strict' },
});

/** The refresh cookie; from a page that is not allowed it is a forgery, not a credential. */
export function refreshCookie(context: RequestContext, { names, allowedOrigins }: CookieRules): string | undefined {
  const token = context.cookies[names.refresh];
  if (token !== undefined && !comesFrom(context, allowedOrigins)) throw new AppError('CSRF_REJECTED');
  return token;
}

/** The same for a call that needs no credential: a forgery is as good as nothing. */
export const refreshTokenOf = (context: RequestContext, { names, allowedOrigins }: CookieRules): string | undefined =>
  comesFrom(context, allowedOrigins) ? context.cookies[names.refresh] : undefined;

/** The access token of a call that needs none: bearer, else the cookie of an allowed page. */
export function accessTokenOf(context: RequestContext, { names, allowedOrigins }: CookieRules): string | undefined {
  const bearer = /^Bearer (\S+)$/i.exec(context.headers['authorization'] ?? '')?.[1];
  return bearer ?? (comesFrom(context, allowedOrigins) ? context.cookies[names.access] : undefined);
}

const comesFrom = ({ headers }: RequestContext, origins: readonly string[]): boolean =>
  origins.includes(headers['origin'] ?? '');
