import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { FieldCipher, FieldPlace } from '../ports/second-factors.ts';

/** A key of the ring; the text is turned into the 256 bits that AES takes. */
type NamedKey = Readonly<{ kid: string; secret: { reveal(): string } }>;

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
/** NIST SP 800-38D, 8.2.2: 96 random bits are good for 2^32 fields under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED = /^v1\.(?<kid>[\w.-]{1,64}?)\.(?<bytes>[\w-]{38,4096})$/;

/** One field of one document: what is sealed for it opens nowhere else. */
const placeText = ({ collection, field, owner }: FieldPlace): string => `${collection}\0${field}\0${owner}`;

/**
 * Keeps single fields of documents secret in the database: `v1.<key id>.<nonce, ciphertext and tag>`. The first key of the
 * ring seals, every key of it opens.
 */
export function createFieldCipher(ring: readonly NamedKey[]): FieldCipher {
  const keys = ring.map(({ kid, secret }) => ({ kid, key: keyFrom(secret.reveal()) }));
  const [current] = keys;
  if (!current) throw new RangeError('a field cipher needs a key');
  return {
    seal(text, place) {
      const nonce = randomBytes(NONCE_BYTES);
      const sealed = encrypt({ key: current.key, nonce, aad: Buffer.from(placeText(place)) }, Buffer.from(text));
      return `v1.${current.kid}.${Buffer.concat([nonce, sealed]).toString('base64url')}`;
    },
    open(sealed, place) {
      const parts = SEALED.exec(sealed)?.groups;
      const named = keys.find(({ kid }) => kid === parts?.['kid']);
      if (!parts || !named) throw new Error('a sealed field has an unknown form or key');
      const bytes = Buffer.from(parts['bytes'] ?? '', 'base64url');
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const aad = Buffer.from(placeText(place));
      const text = decrypt({ key: named.key, nonce, aad }, bytes.subarray(NONCE_BYTES)).toString('utf8');
      return { text, isOutdated: named !== current };
    },
  };
}

const keyFrom = (secret: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', 'tollgate field encryption', KEY_BYTES));

type Under = Readonly<{ key: Buffer; nonce: Buffer; aad: Buffer }>;

/** The ciphertext and, after it, its tag. */
export function encrypt({ key, nonce, aad }: Under, plain: Buffer): Buffer {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Throws unless the whole is as it was sealed, for this place. */
export function decrypt({ key, nonce, aad }: Under, sealed: Buffer): Buffer {
  if (sealed.length < TAG_BYTES) throw new Error('a sealed field is too short');
  // Without `authTagLength` Node would also take a tag cut down to 4 bytes.
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
}
