import { createHash } from 'node:crypto';

// RFC 6962 §2.1: leaves and nodes are hashed with different first bytes, so that a node never passes for a leaf.
const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The root of the Merkle tree over texts, in the order given. */
export function merkleRoot(leaves: readonly string[]): Buffer {
  let level = leaves.map((leaf) => sha256(LEAF, Buffer.from(leaf)));
  if (level.length === 0) return sha256();
  // An odd node goes up as it is, which is the tree of the RFC: the largest power of two stands on the left.
  while (level.length > 1) {
    const below = level;
    level = [];
    for (let n = 0; n < below.length; n += 2) {
      const [left, right] = [below[n], below[n + 1]];
      if (left) level.push(right ? sha256(NODE, left, right) : left);
    }
  }
  return level[0] ?? sha256();
}
