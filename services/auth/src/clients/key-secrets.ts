import { hash, randomInt } from 'node:crypto';
import { drawKey, drawKeyId } from '@tollgate/http-kit';
import type { KeySecrets } from '../ports/api-keys.ts';

const hashOf = (text: string): string => hash('sha256', text, 'base64url');

/** API keys from the system's generator. Their 256 bits cannot be tried out, so that a plain hash hides them. */
export const createKeySecrets = (): KeySecrets => ({
  id: () => drawKeyId(randomInt),
  create(id) {
    const text = drawKey(id, randomInt);
    return { text, hash: hashOf(text) };
  },
  hash: hashOf,
});
