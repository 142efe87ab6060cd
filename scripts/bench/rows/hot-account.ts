import pg from 'pg';
import { byCalling, type Open } from '../load/drive.ts';
import { holdingAt } from '../load/hold-and-settle.ts';
import { playRounds } from '../load/rounds.ts';
import { ratio } from '../report/measured.ts';
import { columnTable } from '../report/column-table.ts';
import { fixed, judged, type Section, whole } from '../report/section.ts';
import { median } from '../report/statistics.ts';
import type { Bench, Context } from '../stage/context.ts';
import { onServer } from '../stage/peers.ts';
import type { World } from '../stage/world.ts';

const CALLERS = 32;
const LEAST = 8;
const HOT = 1;

/** What a simple ledger does: a row is locked, looked at, written and logged. */
function naively(url: string): Open {
  return (connections) => {
    const pool = new pg.Pool({ connectionString: url, max: connections });
    const debit = async (): Promise<void> => {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        await client.query('SELECT balance FROM naive_accounts WHERE id = $1 FOR UPDATE', [HOT]);
        await client.query('UPDATE naive_accounts SET balance = balance - 1 WHERE id = $1', [HOT]);
        await client.query('INSERT INTO naive_log (account, amount) VALUES ($1, 1)', [HOT]);
        await client.query('COMMIT');
      } finally {
        client.release();
      }
    };
    return byCalling(debit, () => pool.end())(connections);
  };
}

async function prepareNaive({ databases }: World): Promise<string> {
  const url = new URL(databases.postgres.url);
  await onServer(url.href, 'CREATE DATABASE naive');
  url.pathname = '/naive';
  await onServer(
    url.href,
    `CREATE TABLE naive_accounts (id integer PRIMARY KEY, balance bigint NOT NULL);
     CREATE TABLE naive_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account integer NOT NULL, amount bigint NOT NULL,
       created_at timestamptz NOT NULL DEFAULT now());
     INSERT INTO naive_accounts VALUES (${HOT}, 1000000000)`,
  );
  return url.href;
}

async function hotAccount(context: Context): Promise<Section> {
  const world = await context.world();
  const { postgres } = world.databases;
  const hot = (await context.payers()).slice(0, 1);
  const naive = naively(await prepareNaive(world));
  const database = { name: 'PostgreSQL', pids: postgres.pids };
  const columns = [
    { name: 'naive transactions', open: naive, parts: [database] },
    {
      name: 'hold and settle over HTTP',
      open: holdingAt(world.accounting.url, world, hot),
      parts: [{ name: 'accounting', pids: [world.accounting.pid ?? 0] }, database],
    },
  ];
  const measured = await playRounds(columns, { ...context.pacing, connections: CALLERS }, context.said);
  const [theirs, ours] = measured;
  if (!theirs || !ours) throw new Error('a column is missing');
  const pairs = ratio(ours, theirs);
  return {
    findings: [
      {
        figure: `hold and settle over HTTP, one hot account, ${CALLERS} callers, against ${CALLERS} naive transactions`,
        target: `≥ ${LEAST}`,
        measured: `${whole(2 * median(ours.perSecond))} holds and settlements/s, ${whole(median(theirs.perSecond))} transactions/s`,
        ratio: fixed(2 * pairs),
        verdict: ours.faults > 0 ? `not measured: ${ours.faults} faults` : judged(2 * pairs, { least: LEAST }),
      },
    ],
    tables: [columnTable('One hot account', measured)],
    notes: [
      `A hold and a settlement are a write each, as a naive transaction is one: the ratio counts both. In pairs it is ${fixed(pairs)}.`,
    ],
  };
}

export const hotAccountBench: Bench = {
  name: 'hot-account',
  about: 'hold and settle of one account, against naive transactions',
  isQuick: false,
  run: hotAccount,
};
