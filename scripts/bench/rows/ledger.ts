import { randomInt } from 'node:crypto';
import { freePorts, ServiceProcess } from '@tollgate/test-kit';
import { fillLedger } from '../../fill-ledger.ts';
import { drive, overHttp } from '../load/drive.ts';
import { holdingAt } from '../load/hold-and-settle.ts';
import { inTurns } from '../load/columns.ts';
import { playRounds } from '../load/rounds.ts';
import { ratio } from '../report/measured.ts';
import { columnTable } from '../report/column-table.ts';
import { type Finding, fixed, judged, type Section, type Table, whole } from '../report/section.ts';
import { median, quantile } from '../report/statistics.ts';
import { openAccounts, type Payer } from '../stage/accounts.ts';
import { createClosers } from '../stage/closers.ts';
import type { Bench, Context } from '../stage/context.ts';
import { onServer } from '../stage/peers.ts';
import type { World } from '../stage/world.ts';

const LARGE = { rows: 1_000_000, accounts: 100_000, days: 90 };
const SMALL = { rows: 10_000, accounts: 1000, days: 90 };
const PAYERS = 500;
const CALLERS = 32;
const READERS = 4;
const READ_MS = 1500;
const LEAST = 0.9;
const MOST = 3;
const READS = [
  { what: 'balance', path: '/api/credits/balance', good: 'totalCredits' },
  { what: 'history page', path: '/api/credits/transactions?limit=50', good: 'nextCursor' },
  { what: 'usage report', path: '/api/usage/stats', good: 'byModel' },
] as const;

/** An accounting service with a ledger of its own. */
interface Place {
  readonly service: ServiceProcess;
  readonly payers: readonly Payer[];
}

const userIdOf = (n: number): string => n.toString(16).padStart(24, '0');

/** Different ones; the first account is the busiest and has a history of its own, so that it is left out. */
async function drawPayers({ tokens }: World, accounts: number): Promise<Payer[]> {
  const drawn = new Set<number>();
  while (drawn.size < Math.min(PAYERS, accounts - 1)) drawn.add(2 + randomInt(accounts - 1));
  return Promise.all(
    [...drawn].map(userIdOf).map(async (userId) => ({ userId, token: await tokens.access({ userId }) })),
  );
}

async function ledger(context: Context): Promise<Section> {
  const world = await context.world();
  const closers = createClosers(context.said);
  context.closers.add(() => closers.close());
  const start = async (name: string, fill?: typeof LARGE): Promise<Place> => {
    await onServer(world.databases.postgres.url, `CREATE DATABASE ledger_${name}`);
    const [owner, role] = [world.databases.postgres.url, world.environments.accounting['DATABASE_URL'] ?? ''].map(
      (text) => {
        const url = new URL(text);
        url.pathname = `/ledger_${name}`;
        return url.href;
      },
    );
    if (fill) await fillLedger(owner ?? '', fill, (text) => context.said(`${name}: ${text}`));
    const [port = 0] = await freePorts(1);
    const env = {
      ...world.environments.accounting,
      ...own(port),
      DATABASE_URL: role ?? '',
      DATABASE_OWNER_URL: owner ?? '',
    };
    const service = new ServiceProcess({ name: 'accounting', port, env, isBuilt: true });
    closers.add(() => service.end('SIGTERM'));
    await service.start();
    const payers = fill
      ? await drawPayers(world, fill.accounts)
      : await openAccounts({ ...world, accounting: service }, PAYERS);
    return { service, payers };
  };
  try {
    const large = await start('large', LARGE);
    const [small, empty] = [await start('small', SMALL), await start('empty')];
    const writes = await compareWrites(context, world, { large, empty });
    const reads = await compareReads(context, { large, small });
    return { findings: [...writes.findings, ...reads.findings], tables: [...writes.tables, ...reads.tables] };
  } finally {
    await closers.close();
  }
}

/** What books by itself is the same in all, and seldom: it is not what is compared. */
const own = (port: number) => ({
  PORT: String(port),
  LEDGER_HEAD_INTERVAL: '1h',
  RECONCILE_INTERVAL: '1d',
  RECONCILE_FULL_INTERVAL: '30d',
});

async function compareWrites(
  { said, pacing }: Context,
  world: World,
  { large, empty }: Record<'large' | 'empty', Place>,
): Promise<Section> {
  const column = (name: string, { service, payers }: Place) => ({
    name,
    open: holdingAt(service.url, world, payers),
    parts: [
      { name: 'accounting', pids: [service.pid ?? 0] },
      { name: 'PostgreSQL', pids: world.databases.postgres.pids },
    ],
  });
  const measured = await playRounds(
    [column('empty ledger', empty), column('large ledger', large)],
    { ...pacing, connections: CALLERS },
    said,
  );
  const [before, after] = measured;
  if (!before || !after) throw new Error('a column is missing');
  const faults = before.faults + after.faults;
  const finding: Finding = {
    figure: `hold and settle with ${whole(LARGE.rows)} ledger rows and ${whole(LARGE.accounts)} accounts, against an empty ledger`,
    target: `≥ ${LEAST}`,
    measured: `${whole(median(after.perSecond))}/s, ${whole(median(before.perSecond))}/s`,
    ratio: fixed(ratio(after, before)),
    verdict: faults > 0 ? `not measured: ${faults} faults` : judged(ratio(after, before), { least: LEAST }),
  };
  return { findings: [finding], tables: [columnTable('Hold and settle, 32 callers', measured)] };
}

async function compareReads({ pacing }: Context, { large, small }: Record<'large' | 'small', Place>): Promise<Section> {
  const findings: Finding[] = [];
  const rows: string[][] = [];
  for (const { what, path, good } of READS) {
    const times = { small: [] as number[], large: [] as number[] };
    for (let round = -1; round < pacing.rounds; round += 1) {
      const [few, many] = [await readTimes(small, { path, good }), await readTimes(large, { path, good })];
      // The first round warms up.
      if (round >= 0) times.small.push(...few);
      if (round >= 0) times.large.push(...many);
    }
    const p99 = { small: quantile(times.small, 0.99), large: quantile(times.large, 0.99) };
    findings.push({
      figure: `${what} of one user at that size, p99`,
      target: `≤ ${MOST} × the small case`,
      measured: `${fixed(p99.large, 1)} ms, ${fixed(p99.small, 1)} ms`,
      ratio: fixed(p99.large / p99.small),
      verdict: judged(p99.large / p99.small, { most: MOST }),
    });
    rows.push([
      what,
      ...[times.small, times.large].flatMap((all) => [
        String(all.length),
        fixed(quantile(all, 0.5)),
        fixed(quantile(all, 0.99)),
      ]),
    ]);
  }
  const table: Table = {
    title: `Reads of single users, ${READERS} at once; small: ${whole(SMALL.rows)} rows`,
    head: ['read', 'small: n', 'p50 ms', 'p99 ms', 'large: n', 'p50 ms', 'p99 ms'],
    rows,
  };
  return { findings, tables: [table] };
}

async function readTimes(
  { service, payers }: Place,
  { path, good }: { path: string; good: string },
): Promise<readonly number[]> {
  const callOf = ({ token }: Payer) => ({
    origin: service.url,
    path,
    good,
    headers: { authorization: `Bearer ${token}` },
  });
  const open = overHttp(inTurns(payers.map(callOf)));
  const { durations, firstFault } = await drive({ open, connections: READERS, milliseconds: READ_MS });
  if (firstFault !== undefined) throw new Error(`${path}: ${firstFault}`);
  return durations;
}

export const ledgerBench: Bench = {
  name: 'ledger',
  about: `hold and settle, and reading, at ${whole(LARGE.rows)} ledger rows`,
  isQuick: false,
  run: ledger,
};
