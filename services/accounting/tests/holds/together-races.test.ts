import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { holdOf, type HoldRow } from '../../src/store/hold-rows.ts';
import { Accounting, type User } from '../harness/accounting.ts';
import { ask, ending, opening } from './items.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const users = (count: number, credits: number): Promise<User[]> =>
  Promise.all(Array.from({ length: count }, () => accounting.user({ credits })));
const ids = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
const outcomes = (answers: readonly { outcome: string }[]): string[] => answers.map(({ outcome }) => outcome);

/** A connection of its own, which the database may end. */
async function connected<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: String(accounting.env['DATABASE_OWNER_URL']) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

describe('holds and endings of one account, many in a statement', () => {
  it('spend what is there and no more while eight statements at a time come from everywhere, in one unbroken chain', async () => {
    const [alice, ...others] = await users(5, 300);
    if (!alice) throw new Error('nobody');
    const charged = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        connected(async (client) => {
          let sum = 0;
          for (let turn = 0; turn < 4; turn += 1) {
            const items = ids(12).map((id, at): { user: User; id: string } => {
              const user = at % 4 === 3 ? (others[(at + n + turn) % others.length] ?? alice) : alice;
              return { user, id };
            });
            const held = await ask(
              client,
              'open_holds',
              items.map(({ user, id }) => opening(user, id, 5)),
            );
            const open = items.filter((_item, at) => held[at]?.outcome === 'opened');
            const closed = await ask(
              client,
              'close_holds',
              open.map(({ user, id }, at) => ending(user, id, at % 3)),
            );
            expect(new Set(outcomes(closed))).toEqual(new Set(open.length > 0 ? ['done'] : []));
            for (const [at, { user }] of open.entries()) if (user === alice) sum += at % 3;
          }
          return sum;
        }),
      ),
    );
    const spent = charged.reduce((sum, one) => sum + one, 0);
    expect(spent).toBeGreaterThan(50);
    expect(await accounting.balance(alice)).toEqual({ available: 300 - spent, held: 0 });
    expect(await accounting.revenueOf(alice)).toBe(spent);
    expect(await accounting.faults()).toEqual([]);
  });

  it('that do not all fit: as many as the balance pays for are opened, in their order', async () => {
    const [alice] = await users(1, 50);
    if (!alice) throw new Error('nobody');
    const held = await ask(
      accounting.db,
      'open_holds',
      ids(8).map((id) => opening(alice, id, 9)),
    );
    expect(outcomes(held)).toEqual([
      ...Array.from({ length: 5 }, () => 'opened'),
      ...Array.from({ length: 3 }, () => 'short'),
    ]);
    expect(held.map(({ available_credits: available }) => Number(available))).toEqual([41, 32, 23, 14, 5, 5, 5, 5]);
  });

  it('one of which comes with a key that is used: the others are told what is left without it', async () => {
    const [alice] = await users(1, 50);
    if (!alice) throw new Error('nobody');
    const [known = '', ...held] = ids(4);
    await ask(accounting.db, 'open_holds', [opening(alice, known, 5)]);
    const answers = await ask(
      accounting.db,
      'open_holds',
      held.map((id, at) => opening(alice, id, 9, at === 1 ? { open_key: `hold:${known}` } : {})),
    );
    expect(outcomes(answers)).toEqual(['opened', 'mismatch', 'opened']);
    expect(answers.map(({ available_credits: available }) => available && Number(available))).toEqual([36, null, 27]);
    expect(await accounting.balance(alice)).toEqual({ available: 27, held: 23 });
  });

  it('that a limit does not all let pass: as many as it has room for are opened, and counted', async () => {
    const [alice, bob] = await users(2, 100);
    if (!alice || !bob) throw new Error('nobody');
    await accounting.db.query(
      `INSERT INTO limits (scope, subject, measure, "window", amount, created_by, updated_by)
       SELECT 'user', id, 'requests', 'month', amount, 'x', 'x' FROM unnest($1::text[], '{3,5}'::bigint[]) AS t (id, amount)`,
      [[alice.userId, bob.userId]],
    );
    const items = ids(10).map((id, at) => opening(at % 2 === 0 ? alice : bob, id, 2));
    const held = outcomes(await ask(accounting.db, 'open_holds', items));
    expect(held).toEqual([...items.slice(0, 6).map(() => 'opened'), 'limited', 'opened', 'limited', 'opened']);
    const { rows } = await accounting.db.query(
      'SELECT used::int FROM limit_counters WHERE subject = ANY ($1) ORDER BY used',
      [[alice.userId, bob.userId]],
    );
    expect(rows).toEqual([{ used: 3 }, { used: 5 }]);
  });

  it('tell of a threshold that the fourth of five endings crosses, once', async () => {
    const [alice] = await users(1, 100);
    if (!alice) throw new Error('nobody');
    const held = ids(5);
    await ask(
      accounting.db,
      'open_holds',
      held.map((id) => opening(alice, id, 20)),
    );
    await ask(
      accounting.db,
      'close_holds',
      held.map((id, at) => ending(alice, id, at === 4 ? 19 : 20)),
    );
    const { rows } = await accounting.db.query(
      "SELECT payload -> 'threshold' -> 'value' AS value FROM outbox WHERE type = 'credits.low' AND user_id = $1 ORDER BY created_at",
      [alice.userId],
    );
    expect(rows.map(({ value }) => value)).toEqual([20]);
  });

  it('take over the newest profile that one of them brings, and no older one', async () => {
    const people = await users(2, 50);
    const [alice] = people;
    if (!alice) throw new Error('nobody');
    const inTurns = async (years: readonly number[]) => {
      const named = ({ userId }: User, year: number) => ({
        claims: { id: userId, username: `of ${year}`, email: `${year}@example.org`, issued_at: `${year}-01-01` },
      });
      const items = years.flatMap((year) => people.map((user) => opening(user, randomUUID(), 1, named(user, year))));
      expect(new Set(outcomes(await ask(accounting.db, 'open_holds', items)))).toEqual(new Set(['opened']));
      const { rows } = await accounting.db.query(
        'SELECT DISTINCT username, email, role FROM user_accounts WHERE id = ANY ($1)',
        [people.map(({ userId }) => userId)],
      );
      return rows;
    };
    const of = (year: number) => [{ username: `of ${year}`, email: `${year}@example.org`, role: 'enduser' }];
    expect(await inTurns([2101, 2103, 2102])).toEqual(of(2103));
    expect(await inTurns([2102])).toEqual(of(2103));
    expect(await inTurns([2104])).toEqual(of(2104));
  });
});

describe('a statement with many items', () => {
  it('tells of each hold all that the service reads of it, in the version before as well', async () => {
    const [alice] = await users(1, 100);
    if (!alice) throw new Error('nobody');
    const held = ids(3);
    const answers = [
      ...(await ask(
        accounting.db,
        'open_holds',
        held.map((id) => opening(alice, id, 4)),
      )),
      ...(await ask(
        accounting.db,
        'close_holds',
        held.map((id) => ending(alice, id, 3)),
      )),
    ];
    const missing = answers.flatMap(({ hold }) =>
      Object.entries(holdOf(hold as HoldRow)).filter(([, value]) => value === undefined || String(value) === 'NaN'),
    );
    expect([answers.length, missing]).toEqual([6, []]);
  });

  it('fails whole for one that the database refuses; asked again without it the others have theirs', async () => {
    const people = await users(5, 20);
    await accounting.db.query(`CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = 'check_violation'; END $$`);
    await accounting.db.query(`CREATE TRIGGER zz_poison BEFORE INSERT OR UPDATE ON streaming_sessions
      FOR EACH ROW WHEN (NEW.metadata ? 'poison') EXECUTE FUNCTION refuse_poison()`);
    try {
      const token = await accounting.tokens.service('chat-proxy', 'accounting');
      const items = people.map((user, at) => {
        const holdId = randomUUID();
        return {
          idempotencyKey: `hold:${holdId}`,
          onBehalfOf: `Bearer ${user.token}`,
          hold: {
            holdId,
            resource: { upstream: 'openai', model: 'priced' },
            units: { output: 5 },
            metadata: at === 2 ? { poison: true } : {},
          },
        };
      });
      const answer = await accounting.call('POST', '/api/holds/batch', { token, body: { items }, key: null });
      const statuses = (answer.body['answers'] as { status: number }[]).map(({ status }) => status);
      expect(statuses.map((status) => status < 300 || status >= 500)).toEqual(items.map(() => true));
      expect(statuses.map((status) => status === 201)).toEqual([true, true, false, true, true]);
      for (const [at, user] of people.entries())
        expect(await accounting.balance(user)).toEqual(
          at === 2 ? { available: 20, held: 0 } : { available: 15, held: 5 },
        );
    } finally {
      await accounting.db.query('DROP TRIGGER zz_poison ON streaming_sessions; DROP FUNCTION refuse_poison');
    }
  });

  it('fails at once when the database gives back another row than it was given', async () => {
    const [alice] = await users(1, 20);
    if (!alice) throw new Error('nobody');
    await accounting.db.query(`CREATE FUNCTION rename_hold() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN NEW.id := gen_random_uuid(); RETURN NEW; END $$`);
    await accounting.db.query(`CREATE TRIGGER zz_rename BEFORE INSERT ON streaming_sessions
      FOR EACH ROW WHEN (NEW.metadata ? 'renamed') EXECUTE FUNCTION rename_hold()`);
    try {
      const items = ids(2).map((id) => opening(alice, id, 5, { metadata: { renamed: true } }));
      const asked = connected(async (client) => {
        await client.query("SET statement_timeout = '10s'");
        return ask(client, 'open_holds', items);
      });
      await expect(asked).rejects.toMatchObject({ code: 'XX000' });
      expect(await accounting.balance(alice)).toEqual({ available: 20, held: 0 });
    } finally {
      await accounting.db.query('DROP TRIGGER zz_rename ON streaming_sessions; DROP FUNCTION rename_hold');
    }
  });

  const WRITTEN = [
    'user_accounts',
    'credit_allocations',
    'streaming_sessions',
    'hold_lots',
    'credit_transactions',
    'credit_entries',
  ];

  it.each([
    ['open_holds', WRITTEN],
    ['close_holds', [...WRITTEN, 'usage_logs']],
  ] as const)(
    '%s leaves nothing of any item when the session dies at any of its writes, and does all of them when it is asked again',
    async (name, tables) => {
      await accounting.db.query(`CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$`);
      for (const table of tables) {
        const people = await users(3, 20);
        const held = people.map((user) => ({ user, id: randomUUID() }));
        const opened = held.map(({ user, id }) => opening(user, id, 6));
        const items = name === 'open_holds' ? opened : held.map(({ user, id }) => ending(user, id, 4));
        if (name === 'close_holds') await ask(accounting.db, 'open_holds', opened);
        const before = await Promise.all(people.map((user) => accounting.balance(user)));
        await accounting.db.query(
          `CREATE TRIGGER zz_end_session AFTER INSERT OR UPDATE ON ${table} EXECUTE FUNCTION end_session()`,
        );
        await expect(connected((client) => ask(client, name, items))).rejects.toThrow();
        await accounting.db.query(`DROP TRIGGER zz_end_session ON ${table}`);
        expect([table, await Promise.all(people.map((user) => accounting.balance(user)))]).toEqual([table, before]);
        expect(outcomes(await ask(accounting.db, name, items))).toEqual(
          items.map(() => (name === 'open_holds' ? 'opened' : 'done')),
        );
        for (const user of people)
          expect(await accounting.balance(user)).toEqual(
            name === 'open_holds' ? { available: 14, held: 6 } : { available: 16, held: 0 },
          );
      }
      await accounting.db.query('DROP FUNCTION end_session');
    },
  );
});
