import type { KeyObject } from 'node:crypto';
import { checkNames } from './keys.ts';

/** One Ed25519 key (RFC 8032), a public or a private one, with the name that tokens carry in their `kid` header. */
export type NamedKey = Readonly<{ kid: string; key: KeyObject }>;

/** The public keys of EdDSA tokens, wherever they come from. They verify and cannot sign. */
export type PublicKeys = Readonly<{
  alg: 'EdDSA';
  /** The key of that name, if there is one; rejects with a KeysUnavailableError when nobody can say at the moment. */
  find(kid: string): Promise<KeyObject | undefined>;
  /** Changes whenever a key was withdrawn: what was proven with the earlier keys has to be proven again. */
  edition(): number;
}>;

/**
 * Public keys that stay as they are.
 * @throws RangeError for no or too many keys, or a bad or repeated `kid`.
 */
export function fixedKeys(keys: readonly NamedKey[]): PublicKeys {
  const byName = indexed(keys);
  return { alg: 'EdDSA', find: async (kid) => byName.get(kid), edition: () => 0 };
}

/** @throws RangeError for no or too many keys, or a bad or repeated `kid`. */
export function indexed(keys: readonly NamedKey[]): ReadonlyMap<string, KeyObject> {
  if (keys.length === 0) throw new RangeError('a key set needs at least one key');
  checkNames(keys);
  return new Map(keys.map(({ kid, key }) => [kid, key]));
}
