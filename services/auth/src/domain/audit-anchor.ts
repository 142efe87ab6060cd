import { createHash, createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import type { ChainEnd } from './audit-line.ts';

/** What is signed each minute: where every chain that grew ends. Anchor n names anchor n-1 by its hash. */
export type AnchorContent = Readonly<{
  number: number;
  takenAt: string;
  previousHash: string;
  chains: readonly ChainEnd[];
}>;
export type AuditAnchor = AnchorContent & Readonly<{ hash: string; keyId: string; signature: string }>;

export type AnchorFault = 'gap' | 'order' | 'edited' | 'signature' | 'unreadable';

/** Signs with the newest key, and checks with each that is known by its id. */
export type AnchorKeys = Readonly<{
  sign(content: AnchorContent): AuditAnchor;
  isSigned(anchor: AuditAnchor): boolean;
  /** Why an anchor does not follow the one before it, if so. `before` undefined: where the check begins is not judged. */
  faultOf(anchor: AuditAnchor, before: Pick<AuditAnchor, 'number' | 'hash'> | undefined): AnchorFault | undefined;
}>;

/** Ed25519 keys, one derived from each secret: who may check anchors needs none of ours. */
export function createAnchorKeys(ring: readonly Readonly<{ kid: string; secret: { reveal(): string } }>[]): AnchorKeys {
  const keys = new Map(ring.map(({ kid, secret }) => [kid, keyPairOf(secret.reveal())]));
  const [current] = keys;
  if (!current) throw new RangeError('an anchor needs a key to be signed with');
  const [keyId, { privateKey }] = current;

  function isSigned(anchor: AuditAnchor): boolean {
    const key = keys.get(anchor.keyId)?.publicKey;
    return key !== undefined && verify(null, bytesOf(anchor), key, Buffer.from(anchor.signature, 'base64url'));
  }
  return {
    sign: (content) => ({
      ...content,
      hash: hashOf(content),
      keyId,
      signature: sign(null, bytesOf(content), privateKey).toString('base64url'),
    }),
    isSigned,
    faultOf(anchor, before) {
      if (before && anchor.number !== before.number + 1) return 'gap';
      if (anchor.hash !== hashOf(anchor)) return 'edited';
      if (!isSigned(anchor)) return 'signature';
      return before && anchor.previousHash !== before.hash ? 'order' : undefined;
    },
  };
}

/** The one spelling of an anchor; its SHA-256 is the anchor's hash. */
const bytesOf = ({ number, takenAt, previousHash, chains }: AnchorContent): Buffer =>
  Buffer.from(
    JSON.stringify([
      'tollgate-audit-anchor/1',
      number,
      takenAt,
      previousHash,
      chains.map(({ chain, seq, hash }) => [chain, seq, hash]),
    ]),
  );

const hashOf = (content: AnchorContent): string => createHash('sha256').update(bytesOf(content)).digest('hex');

const SEED_BYTES = 32;
/** RFC 8410: what stands before the 32 bytes of an Ed25519 key in PKCS #8. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function keyPairOf(secret: string): { privateKey: KeyObject; publicKey: KeyObject } {
  const seed = hkdfSync('sha256', secret, 'tollgate', 'audit-anchor-ed25519', SEED_BYTES);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, Buffer.from(seed)]), format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}
