import { execFile } from 'node:child_process';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { accounting as contract, ServerResult } from '@tollgate/contracts';
import { Accounting, type User } from '../harness/accounting.ts';

type Listed = ServerResult<typeof contract.listLedgerHeads>;
type Head = Listed['heads'][number];

let accounting: Accounting;
let folder: string;
let file: string;
let admin: User;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-heads-'));
  file = join(folder, 'heads.jsonl');
  accounting = await Accounting.start({ LEDGER_HEAD_FILE: file });
  admin = await accounting.user({ role: 'admin' });
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
  await rm(folder, { recursive: true, force: true });
});

const list = async (query = ''): Promise<Listed> => {
  const { body } = accounting.expect(
    200,
    await accounting.call('GET', `/api/credits/ledger/heads${query}`, { token: admin.token }),
  );
  return body as unknown as Listed; // what the contract says
};
const newest = async (): Promise<Head> => (await list('?limit=1')).heads[0] as Head;
const keptHeads = async (from = file): Promise<Head[]> =>
  (await readFile(from, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const leavesOf = (head: Head) =>
  accounting.db.query<{ user_id: string; seq: string }>(
    'SELECT user_id, account_seq AS seq FROM ledger_head_leaves WHERE head_number = $1 ORDER BY 1',
    [head.number],
  );

describe('a signed head', () => {
  it('covers the accounts that have changed, names the head before it, and can be checked with the public key alone', async () => {
    const [alice, bob] = [await accounting.user({ credits: 5 }), await accounting.user({ credits: 5 })];
    await accounting.flows.takeHead();
    const first = await newest();
    await accounting.grant(bob, { credits: 1 });
    await accounting.grant(bob, { credits: 1 });
    await accounting.flows.takeHead();
    const second = await newest();
    expect(second).toMatchObject({ number: first.number + 1, previousHash: first.hash, accounts: 1, transactions: 2 });
    expect((await leavesOf(second)).rows).toEqual([{ user_id: bob.userId, seq: '3' }]);
    expect((await leavesOf(first)).rows).toContainEqual({ user_id: alice.userId, seq: '1' });

    const { keys } = await list();
    const text = JSON.stringify([
      'tollgate-ledger-head/1',
      second.number,
      second.takenAt,
      second.previousHash,
      second.root,
      second.accounts,
      second.transactions,
    ]);
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: keys.find(({ keyId }) => keyId === second.keyId)?.publicKey ?? '' };
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    expect(verify(null, Buffer.from(text), key, Buffer.from(second.signature, 'base64url'))).toBe(true);
    expect(createHash('sha256').update(text).digest('hex')).toBe(second.hash);
    const { rows } = await accounting.db.query(
      "SELECT encode(hash, 'hex') AS hash FROM credit_transactions WHERE user_id = $1 AND account_seq = 3",
      [bob.userId],
    );
    const leaf = Buffer.concat([Buffer.of(0), Buffer.from(JSON.stringify([bob.userId, 3, rows[0]?.hash]))]);
    expect(createHash('sha256').update(leaf).digest('hex')).toBe(second.root);
  });

  it('is not taken when nothing has changed, nor when one was taken a moment ago', async () => {
    await accounting.flows.takeHead();
    const { number } = await newest();
    await accounting.flows.takeHead();
    await accounting.user({ credits: 5 });
    await accounting.flows.takeHead({ youngestMs: 30_000 });
    expect((await newest()).number).toBe(number);
    await accounting.flows.takeHead();
    expect((await newest()).number).toBe(number + 1);
  });

  it('is one chain whoever takes it: three instances at once, with bookings going on', async () => {
    const instances = [accounting.first, await accounting.another(), await accounting.another()];
    const users = await Promise.all(Array.from({ length: 5 }, () => accounting.user()));
    const { number } = await newest();
    for (let round = 0; round < 5; round += 1)
      await Promise.all([
        ...instances.map(({ deps }) => deps.flows.takeHead()),
        ...users.map((user) => accounting.grant(user, { credits: 1 })),
      ]);
    await accounting.flows.takeHead();
    expect((await newest()).number).toBeGreaterThan(number + 1);
    for (const user of users)
      expect(
        await accounting.number('SELECT max(account_seq) AS value FROM ledger_head_leaves WHERE user_id = $1', [
          user.userId,
        ]),
      ).toBe(5);
    expect(await accounting.faults()).toEqual([]);
  });

  it('comes to cover a transaction that was begun before others and committed after two heads', async () => {
    const [slow, quick] = [await accounting.user({ credits: 1 }), await accounting.user({ credits: 1 })];
    await accounting.flows.takeHead();
    const client = await accounting.db.connect();
    await client.query('BEGIN');
    await client.query(`SELECT ledger.grant_credits(jsonb_populate_record(NULL::ledger.lot_request, $1))`, [
      JSON.stringify({ user_id: slow.userId, source: 'admin', credits: 1, expiry_days: 1, actor: 'test' }),
    ]);
    for (let round = 0; round < 3; round += 1) {
      await accounting.grant(quick, { credits: 1 });
      await accounting.flows.takeHead();
    }
    await client.query('COMMIT');
    client.release();
    await accounting.flows.takeHead();
    expect((await leavesOf(await newest())).rows).toEqual([{ user_id: slow.userId, seq: '2' }]);
  });

  it('is kept as a line of a file, also after the file was moved away', async () => {
    await accounting.user({ credits: 5 });
    await accounting.flows.takeHead();
    expect((await keptHeads()).at(-1)).toEqual(await newest());
    const moved = join(folder, 'moved.jsonl');
    await rename(file, moved);
    await accounting.user({ credits: 5 });
    await accounting.flows.takeHead();
    const [line, ...others] = await keptHeads();
    expect([line, others]).toEqual([await newest(), []]);
    expect((await keptHeads(moved)).at(-1)?.hash).toBe(line?.previousHash);
  });

  it('is listed page by page without gaps', async () => {
    const numbers: number[] = [];
    let cursor: string | null = '';
    do {
      const page: Listed = await list(`?limit=2${cursor ? `&cursor=${cursor}` : ''}`);
      numbers.push(...page.heads.map(({ number }) => number));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(numbers).toEqual(Array.from({ length: numbers[0] ?? 0 }, (_, n) => (numbers[0] ?? 0) - n));
  });

  it('costs a booking no index: none is on a column that bookings change', async () => {
    const { rows } = await accounting.db.query(
      `SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
       WHERE i.indrelid = 'user_accounts'::regclass AND a.attname ~ '^(ledger_|total_|held_|debt_|updated_)'`,
    );
    expect(rows).toEqual([]);
  });
});

/** Runs the command that people run. */
const command = (...args: string[]): Promise<{ code: number; output: string }> =>
  new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], ...accounting.env };
    execFile(
      process.execPath,
      ['--conditions=tollgate', 'scripts/ledger-verify.ts', ...args],
      { env },
      (error, out, err) => resolve({ code: error ? Number(error.code) : 0, output: out + err }),
    );
  });

/** What a superuser does with all triggers off, and undoes again. */
async function forged(statement: string, look: () => Promise<void>, undo: string): Promise<void> {
  const client = await accounting.db.connect();
  try {
    await client.query("SET session_replication_role = 'replica'");
    await client.query(statement);
    try {
      await look();
    } finally {
      await client.query(undo);
    }
  } finally {
    await client.query('RESET session_replication_role');
    client.release();
  }
}

describe('pnpm ledger:verify', () => {
  it('ends with 0 when the books are right, with the heads that were kept in a file as well', async () => {
    const { code, output } = await command('--heads', file, '--json');
    const report = JSON.parse(output);
    expect([code, report.ok]).toEqual([0, true]);
    expect(report.checks.map(({ invariant }: { invariant: string }) => invariant)).toEqual(
      expect.arrayContaining(['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9']),
    );
  });

  it('ends with 1 and names the first offending row', async () => {
    const alice = await accounting.user({ credits: 5 });
    await forged(
      `UPDATE credit_transactions SET reason = 'x' WHERE user_id = '${alice.userId}'`,
      async () => {
        for (const args of [['--json'], ['--json', '--user', alice.userId]]) {
          const { code, output } = await command(...args);
          const wrong = JSON.parse(output).checks.filter(({ ok }: { ok: boolean }) => !ok);
          expect([code, wrong]).toMatchObject([
            1,
            [{ invariant: 'I9', first: { user_id: alice.userId, fault: 'hash' } }],
          ]);
        }
        expect((await command('--user', admin.userId)).code).toBe(0);
        const { body } = await accounting.call('GET', `/api/credits/ledger/verify?userId=${alice.userId}`, {
          token: admin.token,
        });
        expect(body['ok']).toBe(false);
      },
      `UPDATE credit_transactions SET reason = NULL WHERE user_id = '${alice.userId}'`,
    );
  });

  it('ends with 2 when it could not check: no database, no such file, a file of something else', async () => {
    const text = join(folder, 'text');
    await writeFile(text, 'nothing\n');
    const codes = [
      await command('--heads', join(folder, 'none')),
      await command('--heads', text),
      await command('--nonsense'),
    ];
    expect(codes.map(({ code }) => code)).toEqual([2, 2, 2]);
  });

  it('finds a head that was signed by somebody else, one that was edited, and one that is missing', async () => {
    const { number } = await newest();
    const find = async (fault: string, at = number) => {
      const { checks } = await accounting.flows.verifyLedger({ isUnhurried: true });
      expect(checks.find(({ title }) => title.includes('unbroken chain'))?.first).toEqual({ number: at, fault });
    };
    const set = (column: string, value: string) =>
      `UPDATE ledger_heads SET ${column} = ${value} WHERE number = ${number}`;
    const { rows } = await accounting.db.query('SELECT signature FROM ledger_heads WHERE number = $1', [number]);
    const signature = `'\\x${rows[0]?.signature.toString('hex')}'`;
    await forged(set('signature', 'sha512(signature)'), () => find('signature'), set('signature', signature));
    await forged(set('transactions', 'transactions + 1'), () => find('hash'), set('transactions', 'transactions - 1'));
    await forged(
      set('number', '1000000'),
      () => find('gap', 1_000_000),
      `UPDATE ledger_heads SET number = ${number} WHERE number = 1000000`,
    );
  });

  it('finds by the file that the last heads were cut off together with the ledger they named', async () => {
    const { number } = await newest();
    await forged(
      `CREATE TEMP TABLE cut AS SELECT * FROM ledger_heads WHERE number = ${number};
       CREATE TEMP TABLE cut_leaves AS SELECT * FROM ledger_head_leaves WHERE head_number = ${number};
       DELETE FROM ledger_head_leaves WHERE head_number = ${number}; DELETE FROM ledger_heads WHERE number = ${number}`,
      async () => {
        expect((await command()).code).toBe(0);
        const { code, output } = await command('--heads', file, '--json');
        const wrong = JSON.parse(output).checks.filter(({ ok }: { ok: boolean }) => !ok);
        expect([code, wrong]).toMatchObject([1, [{ invariant: 'I9', first: { number, fault: 'missing' } }]]);
      },
      'INSERT INTO ledger_heads SELECT * FROM cut; INSERT INTO ledger_head_leaves SELECT * FROM cut_leaves',
    );
  });
});
