import { z } from 'zod';
import { Timestamp, UserId, Uuid, WorkspaceId } from '../ids.ts';
import { operation, PageQuery } from '../operation.ts';

const Action = z.string().regex(/^[a-z.-]{1,64}$/, 'is no action');
const Fact = z.union([z.string(), z.number(), z.boolean()]);

/** One line of the audit log. Number and hash are its place in the chain of its workspace. */
export const AuditLineView = z.object({
  workspaceId: z.string(),
  seq: z.int(),
  at: z.string(),
  action: z.string(),
  /** Who wrote it: auth, or the service that reported it. */
  service: z.string(),
  actorId: z.string().optional(),
  targetId: z.string().optional(),
  ip: z.string().optional(),
  userAgent: z.string().optional(),
  requestId: z.string().optional(),
  facts: z.record(z.string(), Fact),
  hash: z.string(),
});

const Hash = z.string().regex(/^[0-9a-f]{64}$/);

/** A line of AUDIT_ANCHOR_FILE: where the chains that had grown end, signed, and linked to the anchor before. */
export const AuditAnchor = z.object({
  number: z.int().positive(),
  takenAt: Timestamp,
  previousHash: z.union([Hash, z.literal('')]),
  chains: z.array(z.object({ chain: z.string(), seq: z.int().positive(), hash: Hash })),
  hash: Hash,
  keyId: z.string(),
  /** Ed25519, base64url. */
  signature: z.string(),
});

/** A user's id, a workspace's, a service's: what lines name. */
const Subject = z.string().regex(/^[\w.:-]{1,64}$/, 'is no id');

export const searchAudit = operation({
  id: 'searchAudit',
  method: 'GET',
  path: '/api/admin/audit',
  summary: 'Lines of the audit log, newest first, page by page',
  permission: 'audit:read',
  query: PageQuery.extend({
    action: Action.optional(),
    actor: Subject.optional(),
    target: Subject.optional(),
    workspaceId: Subject.optional(),
    from: Timestamp.optional(),
    /** Not included. */
    to: Timestamp.optional(),
  }),
  result: z.object({ lines: z.array(AuditLineView), nextCursor: z.string().nullable() }),
});

export const verifyAudit = operation({
  id: 'verifyAudit',
  method: 'GET',
  path: '/api/admin/audit/verify',
  summary: 'Whether the newest lines of every chain, and the signed anchors, are as they were written',
  permission: 'audit:read',
  query: z.strictObject({ workspaceId: Subject.optional() }),
  result: z.object({
    ok: z.boolean(),
    checkedAt: z.string(),
    /** False when older lines were passed over; `pnpm audit:verify` reads them all. */
    isComplete: z.boolean(),
    chains: z.int(),
    lines: z.int(),
    anchors: z.int(),
    offenders: z.int(),
    faults: z.array(
      z.object({
        what: z.enum(['line', 'stray', 'anchor']),
        fault: z.string(),
        chain: z.string().optional(),
        seq: z.number().optional(),
        row: z.string().optional(),
        anchor: z.number().optional(),
      }),
    ),
  }),
});

const Text = z.string().max(512);
const Code = z.string().regex(/^[a-z_]{1,64}$/);
const Word = z.string().regex(/^[\w.-]{1,64}$/);

const Source = {
  /** The same when a report is sent again. */
  eventId: Uuid,
  actorId: UserId.optional(),
  workspaceId: WorkspaceId.optional(),
  ip: Text.optional(),
  userAgent: Text.optional(),
  requestId: Text.optional(),
};
const MOST_REPORTS = 100;

/** What other services may write into the audit log. The actor is a user, or else the service itself. */
export const AuditReport = z.discriminatedUnion('action', [
  z.strictObject({
    ...Source,
    action: z.literal('access.refused'),
    facts: z.strictObject({ code: Code, operation: Word, count: z.int().min(1).max(1_000_000) }),
  }),
  z.strictObject({
    ...Source,
    action: z.literal('credits.adjusted'),
    targetId: Word,
    facts: z.strictObject({
      operation: Word,
      credits: z.int(),
      /** The balance before and after. */
      from: z.int().optional(),
      to: z.int().optional(),
    }),
  }),
  z.strictObject({
    ...Source,
    action: z.literal('export.made'),
    facts: z.strictObject({ file: Word, rows: z.int().min(0).max(10_000_000), isComplete: z.boolean() }),
  }),
]);
export type AuditReport = z.infer<typeof AuditReport>;
type WithoutId<Report> = Report extends unknown ? Omit<Report, 'eventId'> : never;
export type NewAuditReport = WithoutId<AuditReport>;

export const reportAudit = operation({
  id: 'reportAudit',
  method: 'POST',
  path: '/api/internal/audit',
  summary: 'Put down what happened in another service; a report that is sent again is put down once',
  permission: 'internal:audit',
  status: 202,
  body: z.strictObject({ reports: z.array(AuditReport).min(1).max(MOST_REPORTS) }),
  bodyLimit: 262_144,
  result: z.object({ accepted: z.int() }),
});
