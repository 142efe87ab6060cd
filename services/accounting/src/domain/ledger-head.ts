import { createHash, createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import { merkleRoot } from './merkle.ts';

/** The newest transaction of an account that has changed. Hashes are hex. */
export type HeadLeaf = Readonly<{ userId: string; seq: number; hash: string }>;

/** What is signed: head n names head n-1 by its hash. */
export type HeadContent = Readonly<{
  number: number;
  takenAt: string;
  previousHash: string;
  root: string;
  accounts: number;
  transactions: number;
}>;

export type SignedHead = HeadContent & Readonly<{ hash: string; keyId: string; signature: string }>;

/** Signs with the newest key and verifies with each that is known by its id. */
export type HeadKeys = Readonly<{
  sign(content: HeadContent): SignedHead;
  isSigned(head: SignedHead): boolean;
  /** Raw Ed25519 public keys, base64url, the current one first. */
  publicKeys: readonly Readonly<{ keyId: string; publicKey: string }>[];
}>;

/** The root over the leaves, in the order of their accounts. */
export const rootOf = (leaves: readonly HeadLeaf[]): string =>
  merkleRoot(leaves.map(({ userId, seq, hash }) => JSON.stringify([userId, seq, hash]))).toString('hex');

/** The one spelling of a head; its SHA-256 is the head's hash. */
const textOf = (head: HeadContent): string =>
  JSON.stringify([
    'tollgate-ledger-head/1',
    head.number,
    head.takenAt,
    head.previousHash,
    head.root,
    head.accounts,
    head.transactions,
  ]);

const hashOf = (head: HeadContent): string => createHash('sha256').update(textOf(head)).digest('hex');

/** Ed25519 keys, one derived from each secret. */
export function createHeadKeys(ring: readonly Readonly<{ id: string; secret: string }>[]): HeadKeys {
  const keys = ring.map(({ id, secret }) => ({ keyId: id, ...keyPairOf(secret) }));
  const byId = new Map(keys.map((key) => [key.keyId, key]));
  const [current] = keys;
  if (!current) throw new RangeError('a head needs a key to be signed with');
  return {
    sign: (content) => ({
      ...content,
      hash: hashOf(content),
      keyId: current.keyId,
      signature: sign(null, Buffer.from(textOf(content)), current.privateKey).toString('base64url'),
    }),
    isSigned(head) {
      const key = byId.get(head.keyId)?.publicKey;
      return (
        key !== undefined && verify(null, Buffer.from(textOf(head)), key, Buffer.from(head.signature, 'base64url'))
      );
    },
    publicKeys: keys.map(({ keyId, publicKey }) => ({
      keyId,
      publicKey: String(publicKey.export({ format: 'jwk' }).x),
    })),
  };
}

const SEED_BYTES = 32;
/** RFC 8410: what stands before the 32 bytes of an Ed25519 key in PKCS #8. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function keyPairOf(secret: string): { privateKey: KeyObject; publicKey: KeyObject } {
  const seed = hkdfSync('sha256', secret, 'tollgate', 'ledger-head-ed25519', SEED_BYTES);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, Buffer.from(seed)]), format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

export type HeadFault = Readonly<{ number: number; fault: 'gap' | 'previous hash' | 'hash' | 'signature' | 'leaves' }>;

/** Why a head does not follow the one before it, if so. `before` undefined: where the check begins is not judged. */
export function faultOfHead(
  head: SignedHead,
  leaves: readonly HeadLeaf[],
  { before, keys }: { before: SignedHead | undefined; keys: HeadKeys },
): HeadFault | undefined {
  const told = (fault: HeadFault['fault']): HeadFault => ({ number: head.number, fault });
  if (head.number !== (before?.number ?? head.number - 1) + 1) return told('gap');
  if (before && head.previousHash !== before.hash) return told('previous hash');
  if (head.hash !== hashOf(head)) return told('hash');
  if (!keys.isSigned(head)) return told('signature');
  if (head.accounts !== leaves.length || head.root !== rootOf(leaves)) return told('leaves');
  return undefined;
}
