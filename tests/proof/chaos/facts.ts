import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Books, Fleet } from '@tollgate/test-kit';
import { MongoClient } from 'mongodb';
import { callOnce, callUntilDefinite } from './calls.ts';
import { type Verdict, verifyAudit, verifyLedger } from '../verified.ts';
import { eachOf, type Stage } from './stage.ts';

/** A hold as the books have it. */
export interface BookedHold {
  readonly id: string;
  readonly userId: string;
  readonly status: string;
  readonly held: number;
  readonly charged: number;
  readonly overrun: number;
  readonly writtenOff: number;
  readonly outcome: string | null;
  /** What the payer's account lost for it, by the ledger. */
  readonly ledger: number;
  /** Transactions that charged it: a settlement and its correction. */
  readonly settlements: number;
  /** What the log of usage says, and in how many lines. */
  readonly logged: number;
  readonly logLines: number;
  /** Nobody reported what was used: it was charged by what came through. */
  readonly isEstimated: boolean;
}

export interface Account {
  readonly userId: string;
  readonly available: number;
  readonly held: number;
  /** As the owner is told. */
  readonly told: number;
}

export interface ProcessFacts {
  readonly name: string;
  /** What it answers when it is asked whether it is ready; undefined: that it is. */
  readonly trouble: string | undefined;
  readonly residentMegabytes: number;
  readonly openFiles: number;
}

/** What there is to see when all is over. */
export interface Facts {
  readonly holds: readonly BookedHold[];
  readonly accounts: readonly Account[];
  readonly verdicts: readonly Verdict[];
  /** Rows that proxies keep of holds they still owe an end. */
  readonly journalRows: number;
  readonly processes: readonly ProcessFacts[];
  /** Milliseconds until no hold was open and no end was owed. */
  readonly quietAfterMs: number;
}

/** Grouped first: a look-up for each of many thousand holds would take minutes. */
const HOLDS = `
  WITH moved AS (
    SELECT hold_id, -sum(available_change + held_change - debt_change) AS credits,
      count(*) FILTER (WHERE type IN ('settle', 'late_settle')) AS settlements
    FROM credit_transactions WHERE hold_id IS NOT NULL GROUP BY hold_id
  ), logged AS (
    SELECT hold_id, sum(credits) AS credits, count(*) AS lines,
      bool_or(usage_source = 'estimated') AS estimated
    FROM usage_logs WHERE hold_id IS NOT NULL GROUP BY hold_id
  )
  SELECT h.id::text, h.user_id AS "userId", h.status, h.held_credits::float8 AS held, h.charged_credits::float8 AS charged,
    h.overrun_credits::float8 AS overrun, h.written_off_credits::float8 AS "writtenOff", h.outcome,
    coalesce(m.credits, 0)::float8 AS ledger, coalesce(m.settlements, 0)::int AS settlements,
    coalesce(l.credits, 0)::float8 AS logged, coalesce(l.lines, 0)::int AS "logLines",
    coalesce(l.estimated, false) AS "isEstimated"
  FROM streaming_sessions h LEFT JOIN moved m ON m.hold_id = h.id LEFT JOIN logged l ON l.hold_id = h.id`;

/** A wait that ends: the judge wants it sooner. */
const QUIET_WITHIN_MS = 120_000;

/** Waits until nothing is under way any more, and one lease at the least, and then looks at everything. */
export async function gather(stage: Stage, leaseSeconds: number): Promise<Facts> {
  const { fleet, books } = stage;
  const journal = new MongoClient(fleet.environments.chatProxy.MONGODB_URI ?? '');
  try {
    const rows = journal.db().collection('open_holds');
    const lease = pause(leaseSeconds * 1000);
    const quietAfterMs = await untilQuiet(books, rows);
    await lease;
    return {
      holds: await books.query<BookedHold & Record<string, unknown>>(HOLDS),
      accounts: await accountsOf(stage),
      verdicts: [
        ...(await verifyLedger(fleet.environments.accounting)),
        await verifyAudit(fleet.environments.auth),
        ...(await ownChecks(books)),
      ],
      journalRows: await rows.countDocuments(),
      processes: await Promise.all(processesOf(fleet)),
      quietAfterMs,
    };
  } finally {
    await journal.close();
  }
}

interface Counted {
  countDocuments(): Promise<number>;
}

/** A wait that ends: what is still open then is told by the checks. */
async function untilQuiet(books: Books, rows: Counted): Promise<number> {
  const began = performance.now();
  const since = (): number => Math.round(performance.now() - began);
  while (since() < QUIET_WITHIN_MS) {
    const open = (await books.openHolds()) + (await rows.countDocuments());
    if (open === 0) break;
    await pause(100);
  }
  return since();
}

async function accountsOf(stage: Stage): Promise<Account[]> {
  const accounts: Account[] = [];
  await eachOf(stage.payers, async (payer) => accounts.push(await accountOf(stage, payer)));
  return accounts;
}

async function accountOf({ books, fleet }: Stage, payer: Stage['payers'][number]): Promise<Account> {
  const { accessToken: token } = await payer.person();
  const url = `${fleet.urls.accounting}/api/credits/balance`;
  const { last } = await callUntilDefinite(() => callOnce({ method: 'GET', url, token }));
  const { available, held } = await books.ofUser(payer.userId);
  const told = last.kind === 'answer' ? Number(last.body.totalCredits) : Number.NaN;
  return { userId: payer.userId, available, held, told };
}

const COUNTS: readonly (readonly [string, string, string])[] = [
  ['I2', 'All entries together are 0', 'SELECT sum(amount)::text AS row FROM credit_entries HAVING sum(amount) <> 0'],
  [
    'I3',
    'Nobody has less than nothing',
    'SELECT id AS row FROM user_accounts WHERE total_credits < 0 OR held_credits < 0 LIMIT 5',
  ],
  [
    'I4',
    'Every hold has one end',
    `SELECT id::text || ' ' || status AS row FROM streaming_sessions WHERE status NOT IN ('settled', 'voided', 'expired')`,
  ],
];

const ownChecks = (books: Books): Promise<Verdict[]> =>
  Promise.all(
    COUNTS.map(async ([invariant, title, sql]) => {
      const rows = await books.query<{ row: string }>(sql);
      return { invariant, title, offenders: rows.length, first: rows[0]?.row ?? null };
    }),
  );

const SHOWN_LOG = 3000;

const processesOf = (fleet: Fleet): Promise<ProcessFacts>[] =>
  Object.values(fleet.services)
    .flat()
    .map(async ({ name, pid = 0, url, log }) => {
      const answer = await callOnce({ method: 'GET', url: `${url}/health/ready`, token: '' });
      const isReady = answer.kind === 'answer' && answer.status === 200;
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
      const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
      return {
        name,
        trouble: isReady ? undefined : `${JSON.stringify(answer)} ${log.slice(-SHOWN_LOG)}`,
        residentMegabytes: Math.round(kilobytes / 1024),
        openFiles: files.length,
      };
    });
