import { createPrivateKey, createPublicKey, hash, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { isCanonical } from './base64url.ts';
import { importKeys, type KeyRing } from './keys.ts';
import type { NamedKey } from './public-keys.ts';

const LONGEST_MEMBER = 512;
const Base64url = z.string().min(1).max(LONGEST_MEMBER).refine(isCanonical);

/** What a key says of its own use must be what we use it for (RFC 7517 §4.2-4.4). */
const purpose = (operation: 'sign' | 'verify') => ({
  use: z.literal('sig').optional(),
  key_ops: z
    .array(z.string())
    .refine((operations) => operations.includes(operation))
    .optional(),
});
const Kid = z.string().max(LONGEST_MEMBER);

/** RFC 7518 §6.4. `alg` is required: the bytes alone do not say what they are for. */
const SharedJwk = z.object({
  kty: z.literal('oct'),
  alg: z.literal('HS256'),
  kid: Kid,
  k: Base64url,
  ...purpose('verify'),
});

const ed25519 = {
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  alg: z.literal('EdDSA').optional(),
  kid: Kid.optional(),
  x: Base64url,
};
/** RFC 8037 §2. With a `d` it is a private key, which has no place where public ones are expected. */
const PublicJwk = z.object({ ...ed25519, ...purpose('verify'), d: z.undefined().optional() });
const PrivateJwk = z.object({ ...ed25519, ...purpose('sign'), d: Base64url });

/** A public key as RFC 7517 and RFC 8037 write it. */
export type PublicKeyJwk = Readonly<{ kty: 'OKP'; crv: 'Ed25519'; x: string; kid: string; alg: 'EdDSA'; use: 'sig' }>;

/**
 * Reads a JWK Set (RFC 7517 §5) of shared secrets for HS256. Stricter than the RFC asks: one key that cannot be used, or that
 * belongs to another algorithm, and the whole set is refused.
 * @throws RangeError
 */
export function readSecretSet(set: unknown): KeyRing {
  const ring = keysOf(SharedJwk, set).map(({ kid, k }) => ({ kid, secret: Buffer.from(k, 'base64url') }));
  importKeys(ring, 'verify');
  return ring;
}

/**
 * Reads a JWK Set of Ed25519 public keys, as strictly. A key without `kid` is named by its thumbprint (RFC 7638).
 * @throws RangeError
 */
export const readPublicSet = (set: unknown): NamedKey[] =>
  keysOf(PublicJwk, set).map(({ kid, x }) => ({
    kid: kid ?? thumbprint(x),
    key: imported(() => createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })),
  }));

/**
 * Reads a JWK Set of Ed25519 private keys, or a single one.
 * @throws RangeError
 */
export const readPrivateSet = (set: unknown): NamedKey[] =>
  keysOf(PrivateJwk, set).map(({ kid, x, d }) => {
    const key = imported(() => createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x, d }, format: 'jwk' }));
    if (publicPart(key) !== x) throw new RangeError('holds a private key beside the public half of another');
    return { kid: kid ?? thumbprint(x), key };
  });

/** What everybody may know of a key, private or public. */
export const publicJwk = ({ kid, key }: NamedKey): PublicKeyJwk => ({
  kty: 'OKP',
  crv: 'Ed25519',
  x: publicPart(key),
  kid,
  alg: 'EdDSA',
  use: 'sig',
});

/** RFC 7638 §3 and RFC 8037 §2: the SHA-256 of the required members in lexical order. */
export const thumbprint = (x: string): string =>
  hash('sha256', JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }), 'base64url');

/** The `x` of a key, private or public. */
export function publicPart(key: KeyObject): string {
  const { x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  if (typeof x !== 'string') throw new RangeError('is no Ed25519 key');
  return x;
}

/** A set, or one key, which counts as a set of one. Faults name members and never values. */
function keysOf<Key extends z.ZodType>(schema: Key, value: unknown): z.output<Key>[] {
  const isSet = typeof value === 'object' && value !== null && 'keys' in value;
  const parsed = z
    .array(schema)
    .min(1)
    .safeParse(isSet ? value.keys : [value]);
  if (parsed.success) return parsed.data;
  const members = new Set(parsed.error.issues.map(({ path }) => path.slice(1).join('.') || 'keys'));
  throw new RangeError(`holds a key that cannot be used (${[...members].join(', ')})`);
}

/** What node:crypto says of a key may quote it. */
function imported(read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch {
    throw new RangeError('holds a key that cannot be used');
  }
}
