import type { AuditScope, LedgerAudit, LedgerCheck, ReconciliationRun, Watermark } from '../../ports.ts';
import type { Postgres, Query } from '../postgres.ts';
import { lastIdHandedOut, type StoredWatermark, watermarkOf } from './watermark.ts';

/** A view of functions/12-verify.sql, 13-ledger-heads.sql and their like, with the invariant whose offenders it lists. */
type View = Readonly<{ invariant: string; title: string; name: string }>;
const view = (invariant: string, name: string, title: string): View => ({ invariant, title, name });

const PROJECTION = view('I1', 'verify_projection', 'Balances are the sums of their ledger entries');
const BALANCED = view('I2', 'verify_balanced', 'Every transaction has two or more entries that sum to 0');
const HELD = view('I3', 'verify_held', 'What is held is the sum of the open holds, and nothing is negative');
const TERMINAL = view('I4', 'verify_terminal', 'Every closed hold was closed by one transaction');
const CHARGE = view('I5', 'verify_charge', 'The revenue of a hold is its charge');
const REFUNDS = view('I5', 'verify_refunds', 'The refunds of a hold are at most its charge, and are booked');
const USAGE = view('I6', 'verify_usage', 'Every closed hold has one usage row, and usage is the charge');
const DAILY = view('I6', 'verify_daily', 'The sums of every day are those of its usage rows');
const KEYS = view('I7', 'verify_keys', 'No idempotency key is left without an answer');
const LOTS = view('I8', 'verify_lots', 'Balances are the sums of their lots');
const HOLD_LOTS = view('I8', 'verify_hold_lots', 'What is held of a lot is the sum of its open holds');
const REFERENCES = view('I8', 'verify_references', 'Holds, lots and transactions belong to what is there');
const ORDER = view('I8', 'verify_order', 'Lots are spent in their order');
const LIMITS = view('I8', 'verify_limits', 'What is reserved of a limit is the sum of its open holds');
const TOPUPS = view('I8', 'verify_topups', 'Every paid order gave one lot of its credits');
const CHAIN = view('I9', 'verify_chain', 'The hash chain of every account is whole');
const ANCHORS = view('I9', 'verify_anchors', 'Every transaction that a signed head names is where it was');
const CHANGES = view('I1', 'verify_changes', 'The entries of a transaction are its changes');
const HEAD = view('I9', 'verify_head', 'Every account shows what its last transaction says');

/** Nobody's in particular. */
const OF_NO_USER = new Set([KEYS, LIMITS, DAILY]);
const EVERYTHING = [
  PROJECTION,
  BALANCED,
  HELD,
  TERMINAL,
  CHARGE,
  REFUNDS,
  USAGE,
  DAILY,
  KEYS,
  LOTS,
  HOLD_LOTS,
  REFERENCES,
  LIMITS,
  TOPUPS,
  CHAIN,
  ANCHORS,
];
/** Compares every lot with every other one of its account: for who has no hurry. */
const UNHURRIED = [...EVERYTHING, ORDER];
/** As long as there are accounts, lots and open holds, however long the ledger is. */
const STATE = [HELD, KEYS, LOTS, HOLD_LOTS, LIMITS, TOPUPS, HEAD];
const OF_TRANSACTIONS = [BALANCED, CHANGES, CHAIN];
const OF_HOLDS = [TERMINAL, CHARGE, REFUNDS, USAGE];

/** Sorting and hashing a million rows without going to the disk; one connection does this at a time. */
const WORK_MEMORY = '64MB';
/** So many transactions are read whole in a few seconds: below this every run is a full one. */
const SHORT_LEDGER = 200_000;
const RUN_MS = 60_000;

/** Verification of the books, and the runs that do it regularly. */
export function createLedgerAudit({ query, snapshot, transaction }: Postgres): LedgerAudit {
  return {
    verify: (scope, limitMs) =>
      snapshot(async (read) => {
        await prepare(read, limitMs);
        const checks = await checkInvariants(read, scope, limitMs === undefined);
        const [row] = await read<{ now: Date }>('SELECT ledger_now() AS now');
        return { checkedAt: row?.now ?? new Date(0), checks };
      }),
    async reconcile(pace) {
      const recent = await newestRun(query, pace.youngestMs);
      if (recent) return { ...recent, isNew: false };
      const lastId = await lastIdHandedOut(query);
      const began = performance.now();
      const found = await snapshot((read) => compare(read, lastId, pace.fullEveryMs));
      if (!found) return undefined;
      const { isFull, checks, watermark } = found;
      const run = { isFull, checks, durationMs: Math.round(performance.now() - began) };
      const isNew = await transaction((tx) => storeRun(tx, { run, watermark, youngestMs: pace.youngestMs }));
      return { ...run, isNew };
    },
  };
}

/** The offenders of every invariant, as one connection sees them. */
export async function checkInvariants(
  read: Query,
  { userId }: AuditScope = {},
  isUnhurried = false,
): Promise<LedgerCheck[]> {
  const checks: LedgerCheck[] = [];
  for (const each of isUnhurried && userId === undefined ? UNHURRIED : EVERYTHING) {
    if (userId === undefined) checks.push(await offendersOf(read, each));
    else if (!OF_NO_USER.has(each)) checks.push(await offendersOf(read, each, 'WHERE user_id = $1', [userId]));
  }
  return checks;
}

async function prepare(read: Query, limitMs: number | undefined): Promise<void> {
  await read(`SET LOCAL work_mem = '${WORK_MEMORY}'`);
  if (limitMs !== undefined) await read(`SET LOCAL statement_timeout = ${limitMs}`);
}

type Found = Readonly<{ isFull: boolean; checks: LedgerCheck[]; watermark: Watermark }>;

/** One run at a time: who cannot have the lock leaves it to whoever has it. */
async function compare(read: Query, lastId: number, fullEveryMs: number): Promise<Found | undefined> {
  const [lock] = await read<{ free: boolean }>(
    "SELECT pg_try_advisory_xact_lock(hashtextextended('reconcile', 1)) AS free",
  );
  if (!lock?.free) return undefined;
  await prepare(read, RUN_MS);
  const [before] = await read<StoredWatermark>(
    'SELECT scan_from, last_id, next_xid FROM reconciliation_runs ORDER BY id DESC LIMIT 1',
  );
  const { scanFrom, next } = await watermarkOf(read, before, lastId);
  const isFull = before === undefined || lastId < SHORT_LEDGER || (await isFullRunDue(read, fullEveryMs));
  const checks = isFull ? await checkInvariants(read) : await checkChanges(read, scanFrom);
  return { isFull, checks, watermark: next };
}

async function isFullRunDue(read: Query, fullEveryMs: number): Promise<boolean> {
  const rows = await read(
    `SELECT FROM (SELECT taken_at FROM reconciliation_runs WHERE is_full ORDER BY id DESC LIMIT 1) r
     WHERE r.taken_at > ledger_now() - make_interval(secs => $1 / 1000.0)`,
    [fullEveryMs],
  );
  return rows.length === 0;
}

/** What is short is compared whole, what is long from the given transaction on. */
async function checkChanges(read: Query, scanFrom: number): Promise<LedgerCheck[]> {
  const checks: LedgerCheck[] = [];
  for (const each of STATE) checks.push(await offendersOf(read, each));
  for (const each of OF_TRANSACTIONS)
    checks.push(await offendersOf(read, each, 'WHERE transaction_id > $1', [scanFrom]));
  const touched = await read<{ hold_id: string }>(
    'SELECT DISTINCT hold_id FROM credit_transactions WHERE id > $1 AND hold_id IS NOT NULL',
    [scanFrom],
  );
  const holds = touched.map(({ hold_id }) => hold_id);
  for (const each of OF_HOLDS) checks.push(await offendersOf(read, each, 'WHERE hold_id = ANY ($1::uuid[])', [holds]));
  return checks;
}

async function offendersOf(
  read: Query,
  { invariant, title, name }: View,
  where = '',
  values: readonly unknown[] = [],
): Promise<LedgerCheck> {
  const [row] = await read<{ offenders: number; first: Record<string, unknown> }>(
    `SELECT count(*) OVER () AS offenders, to_jsonb(v) AS first FROM ledger.${name} v ${where} ORDER BY v LIMIT 1`,
    values,
  );
  return { invariant, title, offenders: row?.offenders ?? 0, first: row?.first ?? null };
}

async function newestRun(query: Query, youngestMs: number): Promise<Omit<ReconciliationRun, 'isNew'> | undefined> {
  const [row] = await query<{ is_full: boolean; duration_ms: number; checks: LedgerCheck[] }>(
    `SELECT is_full, duration_ms, checks FROM (SELECT * FROM reconciliation_runs ORDER BY id DESC LIMIT 1) r
     WHERE taken_at > ledger_now() - make_interval(secs => $1 / 1000.0)`,
    [youngestMs],
  );
  return row && { isFull: row.is_full, durationMs: row.duration_ms, checks: row.checks };
}

type Storing = Readonly<{ run: Omit<ReconciliationRun, 'isNew'>; watermark: Watermark; youngestMs: number }>;

/** False when another instance stored its run while this one was read: that one counts, and tells what it found. */
async function storeRun(tx: Query, { run, watermark, youngestMs }: Storing): Promise<boolean> {
  await tx("SELECT pg_advisory_xact_lock(hashtextextended('reconciliation_runs', 1))");
  const offenders = run.checks.reduce((sum, check) => sum + check.offenders, 0);
  const { scanFrom, lastId, nextXid } = watermark;
  const stored = await tx(
    `INSERT INTO reconciliation_runs (is_full, duration_ms, offenders, checks, scan_from, last_id, next_xid)
     SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (
       SELECT FROM reconciliation_runs WHERE taken_at > ledger_now() - make_interval(secs => $8 / 1000.0)) RETURNING id`,
    [run.isFull, run.durationMs, offenders, JSON.stringify(run.checks), scanFrom, lastId, nextXid, youngestMs],
  );
  return stored.length > 0;
}
