import { AppError, type Cookie, type RequestContext } from '@tollgate/http-kit';
import type { Origin } from '../domain/audit-event.ts';
import type { TokenPair } from '../flows/sessions/open-session.ts';

export const originOf = ({ ip, userAgent, requestId }: RequestContext): Origin => ({ ip, userAgent, requestId });

export type CookieRules = Readonly<{
  isSecure: boolean;
  accessMs: number;
  refreshMs: number;
  /** Pages whose cookies count for state-changing calls. */
  allowedOrigins: readonly string[];
}>;

export const ACCESS_COOKIE = 'accessToken';
const REFRESH_COOKIE = 'refreshToken';
/** The one route that reads the refresh cookie; browsers send it nowhere else. */
const REFRESH_PATH = '/api/auth/refresh';

export const tokenCookies = ({ accessToken, refreshToken }: TokenPair, rules: CookieRules): Cookie[] => [
  cookie(ACCESS_COOKIE, accessToken, { path: '/', maxAgeMs: rules.accessMs, secure: rules.isSecure }),
  cookie(REFRESH_COOKIE, refreshToken, { path: REFRESH_PATH, maxAgeMs: rules.refreshMs, secure: rules.isSecure }),
];

export const clearedCookies = (rules: CookieRules): Cookie[] => [
  cookie(ACCESS_COOKIE, '', { path: '/', maxAgeMs: 0, secure: rules.isSecure }),
  cookie(REFRESH_COOKIE, '', { path: REFRESH_PATH, maxAgeMs: 0, secure: rules.isSecure }),
];

const cookie = (name: string, value: string, options: { path: string; maxAgeMs: number; secure: boolean }): Cookie => ({
  name,
  value,
  options: { ...options, httpOnly: true, sameSite: 'strict' },
});

/** The refresh cookie; from a page that is not allowed it is a forgery, not a credential. */
export function refreshCookie(context: RequestContext, { allowedOrigins }: CookieRules): string | undefined {
  const token = context.cookies[REFRESH_COOKIE];
  if (token !== undefined && !comesFrom(context, allowedOrigins)) throw new AppError('CSRF_REJECTED');
  return token;
}

/** The access token of a call that needs none: bearer, else the cookie of an allowed page. */
export function accessTokenOf(context: RequestContext, { allowedOrigins }: CookieRules): string | undefined {
  const bearer = /^Bearer (\S+)$/i.exec(context.headers['authorization'] ?? '')?.[1];
  return bearer ?? (comesFrom(context, allowedOrigins) ? context.cookies[ACCESS_COOKIE] : undefined);
}

const comesFrom = ({ headers }: RequestContext, origins: readonly string[]): boolean =>
  origins.includes(headers['origin'] ?? '');
