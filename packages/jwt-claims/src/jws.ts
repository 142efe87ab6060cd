import { compactVerify } from 'jose';
import { z } from 'zod';
import type { ClaimsProfile } from './claims.ts';
import { TokenError } from './errors.ts';
import { importKeys, type ImportedKey, type KeyRing } from './keys.ts';

/** Longest token that is looked at, in characters; ours have about 500, and a header line of 16 kB must not cost a hash. */
export const LONGEST_TOKEN = 4096;

/**
 * The whole header we understand. Strict, so that `crit`, `b64`, `jwk`, `jku`, `x5u` and `x5c` are refused by not being
 * listed (RFC 8725 §3.10: no key may be chosen by the token), and `alg` has one value (§3.1).
 */
const Header = z.strictObject({
  alg: z.literal('HS256'),
  typ: z.string().regex(/^jwt$/i).optional(),
  kid: z.string().min(1).max(64).optional(),
});

/** Proves that a compact JWS was signed with one of our keys and gives its payload. */
export type SignatureCheck = (token: string) => Promise<Uint8Array>;

/**
 * Builds the signature check of one key ring.
 *
 * A token that names a `kid` is tried with that key only; an unknown `kid` is refused without trying any key.
 * A token without `kid` is tried with the current key, in the profile `compatible` also with the one before it:
 * the work for a stranger's token is bounded by two.
 * @throws RangeError for an unusable key ring; the check rejects with a TokenError `malformed`, `unknown-key` or `bad-signature`.
 */
export function createSignatureCheck(ring: KeyRing, profile: ClaimsProfile): SignatureCheck {
  const keys = importKeys(ring, 'verify');
  const unnamed = keys.slice(0, profile === 'compatible' ? 2 : 1);
  const named = new Map(keys.map((key) => [key.kid, key]));

  return async function checkSignature(token) {
    const { kid } = readHeader(token);
    const candidates = kid === undefined ? unnamed : [named.get(kid)].filter((key) => key !== undefined);
    if (candidates.length === 0) throw new TokenError('unknown-key');
    for (const candidate of candidates) {
      const payload = await tryKey(token, candidate);
      if (payload) return payload;
    }
    throw new TokenError('bad-signature');
  };
}

/** The header of a compact JWS whose three parts are canonical base64url. */
function readHeader(token: string): z.output<typeof Header> {
  const parts = token.split('.', 4);
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || !header || !payload || !signature || !parts.every(isCanonical)) {
    throw new TokenError('malformed', 'not a compact JWS');
  }
  const parsed = Header.safeParse(parseObject(Buffer.from(header, 'base64url')));
  if (!parsed.success) throw new TokenError('malformed', 'header');
  return parsed.data;
}

/** RFC 7515 §2 and RFC 4648 §3.5: one text per byte string, else one token has many spellings and no spelling can be revoked. */
function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
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

async function tryKey(token: string, { key }: ImportedKey): Promise<Uint8Array | undefined> {
  try {
    const { payload } = await compactVerify(token, await key, { algorithms: ['HS256'] });
    return payload;
  } catch {
    return undefined;
  }
}
