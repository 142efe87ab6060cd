import { z } from 'zod';
import { Timestamp } from '../ids.ts';
import { operation, PageQuery } from '../operation.ts';

const Hash = z.string().regex(/^[0-9a-f]{64}$/);

/** One link of the signed chain over all accounts. Hashes are SHA-256 in hex, the first head's previous one is empty. */
export const LedgerHead = z.object({
  number: z.int().positive(),
  takenAt: Timestamp,
  previousHash: z.union([Hash, z.literal('')]),
  /** Merkle root (RFC 6962) over the accounts that have changed since the head before. */
  root: Hash,
  accounts: z.int().positive(),
  transactions: z.int().positive(),
  hash: Hash,
  keyId: z.string(),
  /** Ed25519, base64url. */
  signature: z.string(),
});

export const listLedgerHeads = operation({
  id: 'listLedgerHeads',
  method: 'GET',
  path: '/api/credits/ledger/heads',
  summary: 'The signed heads of the ledger, newest first, and the public keys to check them with',
  permission: 'ledger:verify',
  query: PageQuery,
  result: z.object({
    heads: z.array(LedgerHead),
    keys: z.array(z.object({ keyId: z.string(), publicKey: z.string() })),
    nextCursor: z.string().nullable(),
  }),
});
