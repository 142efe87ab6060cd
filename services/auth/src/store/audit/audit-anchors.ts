import { type Mongo, unlessDuplicate } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import { z } from 'zod';
import type { AuditAnchor } from '../../domain/audit-anchor.ts';
import type { AuditAnchors } from '../../ports/audit.ts';
import { ANCHOR_COLLECTION } from './audit-rows.ts';

/** `takenAt` as a date beside the text that is signed, to look it up by. */
type AnchorRow = Omit<AuditAnchor, 'number'> & Readonly<{ _id: number; at: Date }>;

const MOST_RECENT = 100;

/** Signed anchors of the audit log: added, never changed or removed. An anchor's number is its `_id`, so each is taken once. */
export function createAuditAnchors(mongo: Mongo): AuditAnchors {
  const rows = (): mongo.Collection<AnchorRow> => mongo.collection<AnchorRow>(ANCHOR_COLLECTION);
  return {
    newest: async () => anchorOf(await rows().findOne({}, { sort: { _id: -1 } })),
    async append({ number, ...anchor }) {
      const row = { _id: number, ...anchor, at: new Date(anchor.takenAt) };
      return unlessDuplicate(rows().insertOne(row, { writeConcern: { w: 'majority' } }));
    },
    async takenSince(since) {
      const found = await rows()
        .find({ at: { $gte: since } }, { sort: { _id: -1 }, limit: MOST_RECENT })
        .toArray();
      return found.flatMap((row) => anchorOf(row) ?? []);
    },
    async list({ from, limit }) {
      const found = await rows()
        .find({ _id: { $gte: from } }, { sort: { _id: 1 }, limit })
        .toArray();
      return found.map((row) => ({ number: row._id, anchor: anchorOf(row) }));
    },
  };
}

const Row = z.strictObject({
  _id: z.int().positive(),
  at: z.date(),
  takenAt: z.string(),
  previousHash: z.string(),
  chains: z.array(z.strictObject({ chain: z.string(), seq: z.int().positive(), hash: z.string() })),
  hash: z.string(),
  keyId: z.string(),
  signature: z.string(),
});

function anchorOf(row: unknown): AuditAnchor | undefined {
  const read = Row.safeParse(row);
  if (!read.success) return undefined;
  const { _id, at: _at, ...anchor } = read.data;
  return { number: _id, ...anchor };
}
