import { compactVerify, type CryptoKey, type KeyObject } from 'jose';
import { z } from 'zod';
import type { ClaimsProfile } from './claims.ts';
import { isCanonical } from './base64url.ts';
import { TokenError } from './errors.ts';
import { importKeys, type KeyRing } from './keys.ts';
import type { PublicKeys } from './public-keys.ts';

/** Longest token that is looked at, in characters; ours have about 500, and a header line of 16 kB must not cost a hash. */
export const LONGEST_TOKEN = 4096;

type Algorithm = 'HS256' | 'EdDSA';

/**
 * The whole header we understand. Strict, so that `crit`, `b64`, `jwk`, `jku`, `x5u` and `x5c` are refused by not being
 * listed (RFC 8725 §3.10: no key may be chosen by the token), and `alg` has one value (§3.1).
 */
const headerOf = <Alg extends Algorithm>(alg: Alg) =>
  z.strictObject({
    alg: z.literal(alg),
    typ: z.string().regex(/^jwt$/i).optional(),
    kid: z.string().min(1).max(64).optional(),
  });
const HEADERS = { HS256: headerOf('HS256'), EdDSA: headerOf('EdDSA') };

/** Proves that a compact JWS was signed with one of our keys and gives its payload. */
export type SignatureCheck = (token: string) => Promise<Uint8Array>;

/**
 * Builds the signature check of one kind of keys, which also decides the one algorithm that is accepted.
 * @throws RangeError for an unusable key ring; the check rejects with a TokenError `malformed`, `unknown-key` or `bad-signature`,
 * and with a KeysUnavailableError while public keys cannot be had.
 */
export const createSignatureCheck = (keys: KeyRing | PublicKeys, profile: ClaimsProfile): SignatureCheck =>
  isPublic(keys) ? publicKeyCheck(keys) : sharedSecretCheck(keys, profile);

export const isPublic = (keys: KeyRing | PublicKeys): keys is PublicKeys => 'alg' in keys;

/** Every EdDSA token names its key. Another name is refused without trying any key. */
function publicKeyCheck(keys: PublicKeys): SignatureCheck {
  return async function checkSignature(token) {
    const { kid } = readHeader(token, 'EdDSA');
    const key = kid === undefined ? undefined : await keys.find(kid);
    if (!key) throw new TokenError('unknown-key');
    const payload = await tryKey(token, key, 'EdDSA');
    if (payload) return payload;
    throw new TokenError('bad-signature');
  };
}

/**
 * A token that names a `kid` is tried with that key only; an unknown `kid` is refused without trying any key.
 * A token without `kid` is tried with the current key, in the profile `compatible` also with the one before it:
 * the work for a stranger's token is bounded by two.
 */
function sharedSecretCheck(ring: KeyRing, profile: ClaimsProfile): SignatureCheck {
  const keys = importKeys(ring, 'verify');
  const unnamed = keys.slice(0, profile === 'compatible' ? 2 : 1);
  const named = new Map(keys.map((key) => [key.kid, key]));

  return async function checkSignature(token) {
    const { kid } = readHeader(token, 'HS256');
    const candidates = kid === undefined ? unnamed : [named.get(kid)].filter((key) => key !== undefined);
    if (candidates.length === 0) throw new TokenError('unknown-key');
    for (const { key } of candidates) {
      const payload = await tryKey(token, await key, 'HS256');
      if (payload) return payload;
    }
    throw new TokenError('bad-signature');
  };
}

/** The header of a compact JWS whose three parts are canonical base64url. */
function readHeader(token: string, algorithm: Algorithm): { kid?: string | undefined } {
  const parts = token.split('.', 4);
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || !header || !payload || !signature || !parts.every(isCanonical)) {
    throw new TokenError('malformed', 'not a compact JWS');
  }
  const parsed = HEADERS[algorithm].safeParse(parseObject(Buffer.from(header, 'base64url')));
  if (!parsed.success) throw new TokenError('malformed', 'header');
  return parsed.data;
}

/**
 * A JSON object out of UTF-8 bytes.
 * @throws TokenError `malformed` for bad UTF-8, bad JSON or another JSON value.
 */
export function parseObject(bytes: Uint8Array): object {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The cause is left out: a JSON error quotes the text it stumbled over.
    throw new TokenError('malformed', 'not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TokenError('malformed', 'not an object');
  return value;
}

async function tryKey(
  token: string,
  key: CryptoKey | KeyObject,
  algorithm: Algorithm,
): Promise<Uint8Array | undefined> {
  try {
    const { payload } = await compactVerify(token, key, { algorithms: [algorithm] });
    return payload;
  } catch {
    return undefined;
  }
}
