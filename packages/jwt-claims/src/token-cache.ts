import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** Remembers which tokens were found good. Holds hashes, so a heap dump gives no token away. */
export type TokenCache<Claims> = {
  key(token: string): string;
  get(key: string): Claims | undefined;
  set(key: string, claims: Claims, generation: number): void;
  drop(key: string): void;
  forget(matches: (claims: Claims) => boolean): number;
  /** Grows whenever entries were forgotten, so that a check that was under way cannot put one back. */
  generation(): number;
};

export function createTokenCache<Claims extends object>(size: number): TokenCache<Claims> {
  const entries = new LRUCache<string, Claims>({ max: size });
  let generation = 0;
  return {
    // The full SHA-256 of the token as it came: a cut hash would let two tokens meet.
    key: (token) => hash('sha256', token, 'base64url'),
    get: (key) => entries.get(key),
    set(key, claims, since) {
      if (since === generation) entries.set(key, claims);
    },
    drop(key) {
      entries.delete(key);
    },
    forget(matches) {
      generation += 1;
      const keys = [...entries].filter(([, claims]) => matches(claims)).map(([key]) => key);
      for (const key of keys) entries.delete(key);
      return keys.length;
    },
    generation: () => generation,
  };
}
