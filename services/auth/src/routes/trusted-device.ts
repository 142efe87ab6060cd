import type { Cookie, RequestContext } from '@tollgate/http-kit';
import type { CookieRules } from './origin.ts';

const MAX_AGE_MS = 90 * 86_400_000;

/** For the login and its next steps alone. */
export const deviceCookie = (value: string, { names, isSecure }: Pick<CookieRules, 'names' | 'isSecure'>): Cookie => ({
  name: names.device,
  value,
  options: { path: names.loginPath, maxAgeMs: MAX_AGE_MS, httpOnly: true, secure: isSecure, sameSite: 'strict' },
});

export const deviceTokenOf = (
  { cookies }: Pick<RequestContext, 'cookies'>,
  { names }: Pick<CookieRules, 'names'>,
): string | undefined => cookies[names.device];
