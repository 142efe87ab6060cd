import { createHmac, randomBytes } from 'node:crypto';
import { SERVICE_TOKEN_SECONDS, TokenError, type TokenFault } from '../src/index.ts';

/** 2026-01-01T00:00:00Z in seconds. */
export const NOW = 1_767_225_600;
export const ISSUER = 'tollgate';
export const ALICE = '65a1b2c3d4e5f60718293a4b';

export const newSecret = (): string => randomBytes(32).toString('base64url');

/** A clock that stands still until it is told the second. */
export function standingClock(seconds = NOW) {
  let now = seconds;
  return { now: () => now * 1000, set: (to: number) => void (now = to) };
}

export const accessPayload = (over: object = {}): object => ({
  sub: ALICE,
  username: 'alice',
  email: 'alice@example.test',
  role: 'enduser',
  type: 'access',
  iat: NOW,
  exp: NOW + 900,
  jti: 'jti-1',
  sid: 'family-1',
  iss: ISSUER,
  aud: ['auth', 'chat-proxy', 'accounting'],
  ...over,
});

/** A token of the earlier auth service: no jti, no iss, no aud. */
export const plainPayload = (over: object = {}): object => ({
  sub: ALICE,
  username: 'alice',
  email: 'alice@example.test',
  role: 'user',
  type: 'access',
  iat: NOW,
  exp: NOW + 900,
  ...over,
});

export const servicePayload = (over: object = {}): object => ({
  type: 'service',
  sub: 'chat-proxy',
  aud: 'accounting',
  iat: NOW,
  exp: NOW + SERVICE_TOKEN_SECONDS,
  jti: 'jti-s',
  ...over,
});

export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signs whatever it is given, with a right MAC, as no library would. */
export function forge(secret: string | Buffer, payload: unknown, header: object = {}, macAlg = 'sha256'): string {
  const input = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(payload)}`;
  return `${input}.${createHmac(macAlg, secret).update(input).digest('base64url')}`;
}

/** The reason a token was refused, or `accepted`. */
export async function verdict(answer: Promise<unknown>): Promise<TokenFault | 'accepted'> {
  try {
    await answer;
    return 'accepted';
  } catch (error) {
    if (error instanceof TokenError) return error.reason;
    throw error;
  }
}
