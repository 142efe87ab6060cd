import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { publicPart, readPrivateSet, readPublicSet, thumbprint } from './jwk.ts';
import { fixedKeys, type NamedKey, type PublicKeys } from './public-keys.ts';

/** Ed25519 private keys, the current one first. Only the first signs; the public halves of all verify. */
export type PrivateKeys = Readonly<{ alg: 'EdDSA'; keys: readonly [NamedKey, ...NamedKey[]] }>;

/**
 * Reads public keys as an operator has them: a JWK, a JWK Set, or PEM blocks (`PUBLIC KEY`) one after the other. A key without
 * a name of its own is named by its thumbprint (RFC 7638).
 * @throws RangeError
 */
export const readPublicKeys = (text: string): PublicKeys =>
  fixedKeys(isJson(text) ? readPublicSet(jsonOf(text)) : readPem(text, 'PUBLIC KEY', createPublicKey));

/**
 * Reads private keys, the current one first: a JWK, a JWK Set, or PEM blocks of PKCS #8 (`PRIVATE KEY`, RFC 7468 §10).
 * @throws RangeError
 */
export function readPrivateKeys(text: string): PrivateKeys {
  const keys = isJson(text) ? readPrivateSet(jsonOf(text)) : readPem(text, 'PRIVATE KEY', createPrivateKey);
  fixedKeys(keys);
  const [current, ...others] = keys;
  if (current === undefined) throw new RangeError('holds no key');
  return { alg: 'EdDSA', keys: [current, ...others] };
}

const isJson = (text: string): boolean => text.trimStart().startsWith('{');

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The cause is left out: a JSON error quotes the text it stumbled over.
    throw new RangeError('is not JSON');
  }
}

/** A block and whatever stands before it; `.env` files write line ends as `\n`. */
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----[\sA-Za-z0-9+/=]{1,1000}-----END \1-----/g;

function readPem(text: string, wanted: string, read: (pem: string) => KeyObject): NamedKey[] {
  const blocks = [...text.replaceAll('\\n', '\n').matchAll(PEM_BLOCK)];
  if (blocks.length === 0) throw new RangeError('holds neither a JWK nor a PEM block');
  return blocks.map(([pem, label]) => {
    if (label !== wanted) throw new RangeError(`holds a block that is no ${wanted}`);
    const key = ed25519(pem, read);
    return { kid: thumbprint(publicPart(key)), key };
  });
}

function ed25519(pem: string, read: (pem: string) => KeyObject): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = read(pem);
  } catch {
    // What node:crypto says of a key may quote it.
  }
  if (key?.asymmetricKeyType !== 'ed25519') throw new RangeError('holds a key that is no Ed25519 key');
  return key;
}
