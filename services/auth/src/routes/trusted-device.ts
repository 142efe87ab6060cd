import type { Cookie, RequestContext } from '@tollgate/http-kit';
import type { CookieRules } from './origin.ts';

const DEVICE_COOKIE = 'trustedDevice';
const MAX_AGE_MS = 90 * 86_400_000;

/** Sent to the login and its next steps alone. */
export const deviceCookie = (value: string, { isSecure }: Pick<CookieRules, 'isSecure'>): Cookie => ({
  name: DEVICE_COOKIE,
  value,
  options: { path: '/api/auth', maxAgeMs: MAX_AGE_MS, httpOnly: true, secure: isSecure, sameSite: 'strict' },
});

export const deviceTokenOf = ({ cookies }: Pick<RequestContext, 'cookies'>): string | undefined =>
  cookies[DEVICE_COOKIE];
