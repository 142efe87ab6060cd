import type { mongo } from 'mongoose';
import { z } from 'zod';
import { AUDIT_ACTIONS } from '../../domain/audit-event.ts';
import type { AuditLine } from '../../domain/audit-line.ts';

export const AUDIT_COLLECTION = 'audit_log';
export const ANCHOR_COLLECTION = 'audit_anchors';

/** A line as it is stored: its place is its `_id`. */
export type AuditRow = AuditLine & Readonly<{ _id: string }>;
export type Rows = mongo.Collection<AuditRow>;

export const idOf = ({ chain, seq }: Pick<AuditLine, 'chain' | 'seq'>): string => `${chain}:${seq}`;
export const rowOf = (line: AuditLine): AuditRow => ({ _id: idOf(line), ...line });

const Text = z.string().max(1024);

/** Whoever can write to the database may have put anything there: a row is a line only when it has its shape and no more. */
const Row = z.strictObject({
  _id: Text,
  eventId: Text,
  chain: Text,
  seq: z.int().positive(),
  at: z.date(),
  action: z.enum(AUDIT_ACTIONS),
  service: Text,
  actorId: Text.exactOptional(),
  targetId: Text.exactOptional(),
  ip: Text.exactOptional(),
  userAgent: Text.exactOptional(),
  requestId: Text.exactOptional(),
  facts: z.record(Text, z.union([Text, z.number(), z.boolean()])),
  previousHash: Text,
  keyId: Text,
  hash: Text,
});

/** Undefined for a row that is no line of ours, or not in the place that it names. */
export function lineOf(row: unknown): AuditLine | undefined {
  const read = Row.safeParse(row);
  if (!read.success) return undefined;
  const { _id, ...line } = read.data;
  return _id === idOf(line) ? line : undefined;
}
