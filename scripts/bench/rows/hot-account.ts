import pg from 'pg';
import { byCalling, type Open } from '../load/drive.ts';
import { holdingAt } from '../load/hold-and-settle.ts';
import { playRounds } from '../load/rounds.ts';
import { ratio } from '../report/measured.ts';
import { columnTable } from '../report/column-table.ts';
import { type Finding, fixed, judged, type Section, whole } from '../report/section.ts';
import { median } from '../report/statistics.ts';
import type { Bench, Context } from '../stage/context.ts';
import { onServer } from '../stage/peers.ts';
import type { World } from '../stage/world.ts';

const CALLERS = 32;
const LEAST = 8;
const HOT = 1;
const NOTES = [
  `Ours: ${CALLERS} callers behind one accounting client of the proxy, as answers in one instance are: the first hold goes at once, what is asked while it is under way goes in one batch, and endings likewise. Each caller settles its hold before it takes the next.`,
  `Naive: ${CALLERS} connections, each \`SELECT … FOR UPDATE\`, \`UPDATE\` and \`INSERT\` in a transaction with a durable commit, without HTTP. It changes the account once. A pair of ours changes it twice and both are durable, so that the target is judged in both ways of counting; the pair is the stricter one.`,
];

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
  const finding = (what: string, ofPair: number): Finding => ({
    figure: `${what} over HTTP, one hot account, ${CALLERS} callers, against ${CALLERS} naive transactions`,
    target: `≥ ${LEAST}`,
    measured: `${whole(ofPair * median(ours.perSecond))}/s, ${whole(median(theirs.perSecond))}/s`,
    ratio: fixed(ofPair * pairs),
    verdict: ours.faults > 0 ? `not measured: ${ours.faults} faults` : judged(ofPair * pairs, { least: LEAST }),
  });
  return {
    findings: [finding('pairs of hold and settlement', 1), finding('holds and settlements, each counted', 2)],
    tables: [columnTable('One hot account', measured)],
    notes: NOTES,
  };
}

export const hotAccountBench: Bench = {
  name: 'hot-account',
  about: 'hold and settle of one account, against naive transactions',
  isQuick: false,
  run: hotAccount,
};
