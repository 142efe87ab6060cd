import { webcrypto } from 'node:crypto';

/** A secret as bytes, as text (its UTF-8 bytes are the key), or wrapped so that it cannot be printed. */
export type SecretSource = string | Uint8Array | { reveal(): string };

/** One shared key with the name that tokens carry in their `kid` header. */
export type NamedSecret = Readonly<{ kid: string; secret: SecretSource }>;

/**
 * The keys of one kind of token, the current one first. Only the first signs; all verify.
 * To rotate without refusing anybody: add the new key second everywhere, then move it first, then drop the old one
 * when its last token has expired.
 */
export type KeyRing = readonly NamedSecret[];

/** RFC 7518 §3.2: a key of the same size as the hash output or larger must be used. */
const HS256_KEY_BYTES = 32;
const MOST_KEYS = 8;
const KID = /^[\w.-]{1,64}$/;
/** A key file, whose public half everybody has, is no secret (RFC 8725 §2.1, algorithm confusion). */
const KEY_FILE = /-----BEGIN |"kty"/;

type Use = 'sign' | 'verify';
export type ImportedKey = Readonly<{ kid: string; key: Promise<webcrypto.CryptoKey> }>;

/**
 * Checks a key ring and imports every secret once.
 * @throws RangeError for no or too many keys, a bad or repeated `kid`, or a secret shorter than 32 bytes.
 */
export function importKeys(ring: KeyRing, use: Use): readonly [ImportedKey, ...ImportedKey[]] {
  checkNames(ring);
  const [current, ...others] = ring.map(({ kid, secret }) => ({ kid, key: importSecret(kid, bytesOf(secret), use) }));
  if (current === undefined) throw new RangeError('a key ring needs at least one key');
  return [current, ...others];
}

/**
 * The rules for the names of any keys that stand together.
 * @throws RangeError for too many keys, or a bad or repeated `kid`.
 */
export function checkNames(ring: readonly { readonly kid: string }[]): void {
  if (ring.length > MOST_KEYS) throw new RangeError(`a key ring holds at most ${MOST_KEYS} keys`);
  const kids = new Set<string>();
  for (const { kid } of ring) {
    if (!KID.test(kid)) throw new RangeError('a kid is 1-64 letters, digits, dots, dashes or underscores');
    if (kids.has(kid)) throw new RangeError(`the kid ${kid} names two keys`);
    kids.add(kid);
  }
}

/** Bytes of a secret; text counts as its UTF-8 bytes, so that other JWT libraries agree on the key. */
export function bytesOf(secret: SecretSource): Uint8Array<ArrayBuffer> {
  if (secret instanceof Uint8Array) return Uint8Array.from(secret);
  return new TextEncoder().encode(typeof secret === 'string' ? secret : secret.reveal());
}

function importSecret(kid: string, bytes: Uint8Array<ArrayBuffer>, use: Use): Promise<webcrypto.CryptoKey> {
  if (bytes.byteLength < HS256_KEY_BYTES) {
    throw new RangeError(`the secret of ${kid} is shorter than ${HS256_KEY_BYTES} bytes`);
  }
  if (KEY_FILE.test(new TextDecoder().decode(bytes))) throw new RangeError(`the secret of ${kid} is a key file`);
  return webcrypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, [use]);
}
