import { bearerToken, REFUSALS } from '@tollgate/jwt-claims';
import { AppError } from '../app-error.ts';
import type { Headers } from '../caller.ts';
import { isKeyText } from './key-text.ts';

/** A key may stand here as well as in Authorization; the second is the spelling of Azure-style clients. */
const KEY_HEADERS = ['x-api-key', 'api-key'] as const;

/**
 * The token or API key of a request, the same in whichever header it comes. Two different ones are refused: which of them
 * was meant must not depend on the order we happen to look in.
 * @throws TokenError for an Authorization header of another kind.
 */
export function credentialIn(headers: Headers): string | undefined {
  const bearer = bearerToken(single(headers, 'authorization'));
  const keys = KEY_HEADERS.flatMap((name) => single(headers, name) ?? []);
  if (keys.length === 0) return bearer;
  const credentials = new Set(bearer === undefined ? keys : [bearer, ...keys]);
  if (credentials.size > 1) throw new AppError('VALIDATION_FAILED', 'Send one credential, not several');
  if (!keys.every(isKeyText)) throw invalidToken();
  const [credential] = credentials;
  return credential;
}

export const invalidToken = (): AppError =>
  new AppError(REFUSALS.invalid.code, undefined, { headers: REFUSALS.invalid.headers });

export function single(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Parameters that other products take keys in, without `-` and `_`. */
const KEY_PARAMETERS = new Set(['apikey', 'xapikey', 'key', 'accesstoken', 'token', 'auth', 'authorization']);
/** The beginning of a key in any parameter. */
const KEY_BEGINS = /tg_[0-9A-Za-z]{16}_/;

/** Addresses are logged, cached and sent on as referrers by everything on their way: a key in one is refused, not used. */
export function refuseKeyInAddress(url: string): void {
  const query = url.indexOf('?');
  if (query === -1) return;
  for (const [name, value] of new URLSearchParams(url.slice(query))) {
    const isKeyParameter = KEY_PARAMETERS.has(name.toLowerCase().replaceAll(/[-_]/g, ''));
    if ((isKeyParameter && isKeyText(value.replace(/^\s*(bearer\s+)?/i, ''))) || KEY_BEGINS.test(value))
      throw new AppError('VALIDATION_FAILED', 'An API key does not belong in an address; send it in a header');
  }
}
