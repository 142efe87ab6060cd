import type { HeadLeaf, SignedHead } from '../domain/ledger-head.ts';

export type LedgerCheck = Readonly<{
  invariant: string;
  title: string;
  offenders: number;
  first: Record<string, unknown> | null;
}>;

/** All accounts, or one. */
export type AuditScope = Readonly<{ userId?: string | undefined }>;

/** Up to which transactions everything has been seen; see docs/adr/0012-signed-ledger-heads.md. */
export type Watermark = Readonly<{ scanFrom: number; lastId: number; nextXid: number }>;

/** What has changed since the last head, and where the search for the next one begins. */
export type ChangedHeads = Readonly<{
  last: SignedHead | undefined;
  takenAt: Date;
  leaves: readonly HeadLeaf[];
  /** Transactions of those accounts since their last head. */
  transactions: number;
  watermark: Watermark;
  /** There are more accounts than one head takes. */
  hasMore: boolean;
}>;

export type LedgerHeads = {
  /** Undefined when the last head is younger than this; an interval of several instances counts once. */
  changed(youngestMs: number): Promise<ChangedHeads | undefined>;
  /** False when another instance was faster. */
  append(head: SignedHead, leaves: readonly HeadLeaf[], watermark: Watermark): Promise<boolean>;
  /** The newest first. */
  list(page: { limit: number; after?: number | undefined }): Promise<SignedHead[]>;
  /** Upwards from a number, each with its leaves. */
  withLeaves(from: number, limit: number): Promise<{ head: SignedHead; leaves: HeadLeaf[] }[]>;
  newest(): Promise<number>;
};

export type ReconciliationRun = Readonly<{
  isFull: boolean;
  durationMs: number;
  checks: readonly LedgerCheck[];
  /** False: the run of another instance, or of a moment ago. */
  isNew: boolean;
}>;

export type LedgerAudit = {
  /** One snapshot of all invariants; undefined limit: as long as it takes. */
  verify(scope: AuditScope, limitMs?: number): Promise<{ checkedAt: Date; checks: LedgerCheck[] }>;
  /**
   * Compares what changed since the last run and all balances, lots and holds; the whole ledger when a full run is due.
   * The newest run when that is recent enough; undefined while another instance is at it. The run is stored.
   */
  reconcile(pace: { youngestMs: number; fullEveryMs: number }): Promise<ReconciliationRun | undefined>;
};

/** Whom heads and drifts are told beside the log. Never rejects: what was found stays found. */
export type Announce = {
  announceHead(head: SignedHead): Promise<void>;
  announceDrift(check: LedgerCheck): Promise<void>;
};

/** Where heads are copied to, out of the database's reach. */
export type KeepHead = (head: SignedHead) => Promise<void>;

export type { HeadLeaf, SignedHead } from '../domain/ledger-head.ts';
