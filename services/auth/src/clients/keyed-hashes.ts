import { createHmac } from 'node:crypto';
import type { Hashes } from '../ports/hashes.ts';

/** Keys of stored hashes, the current one first. */
export type HashKeys = readonly Readonly<{ secret: { reveal(): string } }>[];

/** A text under every key of the ring: what is stored was made with the current one, or with one before it. */
export function createKeyedHashes(ring: HashKeys): (text: string) => Hashes {
  const [current, ...former] = ring;
  if (!current) throw new RangeError('keyed hashes need a key');
  const under = ({ secret }: HashKeys[number], text: string): string =>
    createHmac('sha256', secret.reveal()).update(text).digest('base64url');
  return (text) => [under(current, text), ...former.map((key) => under(key, text))];
}
