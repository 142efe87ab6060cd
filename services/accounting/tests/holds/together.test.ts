import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Accounting, type User } from '../harness/accounting.ts';
import { ask, ending, type Item, LINE, opening } from './items.ts';

// What many items of one statement are together, against the same items one by one in the way that takes what is not common.

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
  await accounting.db.query(ALONE);
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

/** One item, by the function that knows every case. */
const ALONE = `
  CREATE FUNCTION open_holds_alone(p_item jsonb) RETURNS TABLE (outcome text, available_credits bigint, hold json)
  LANGUAGE plpgsql SET search_path = ledger, public AS $$
  DECLARE
    r hold_request := (prepare_holds(jsonb_build_array(p_item), has_limits()))[1];
  BEGIN
    PERFORM lock_accounts(ARRAY[r.payer_id], true);
    PERFORM lock_counters(r.limits);
    RETURN QUERY SELECT * FROM open_hold(r);
  END $$;
  CREATE FUNCTION close_holds_alone(p_item jsonb) RETURNS TABLE (outcome text, available_credits bigint, hold json)
  LANGUAGE plpgsql SET search_path = ledger, public AS $$
  DECLARE
    r close_request := (with_payers(jsonb_build_array(p_item)))[1];
  BEGIN
    PERFORM lock_accounts(ARRAY[r.payer_id], true);
    PERFORM lock_counters_of(ARRAY[r.hold_id]);
    RETURN QUERY SELECT * FROM close_hold(r);
  END $$`;
const oneByOne = async (name: Parameters<typeof ask>[1], items: readonly Item[]): Promise<unknown[]> => {
  const answers: unknown[] = [];
  for (const item of items)
    answers.push(...(await accounting.db.query(`SELECT * FROM ${name}_alone($1)`, [JSON.stringify(item)])).rows);
  return answers;
};

/** Everything of an account but names and hashes: what the books say, in their order. */
async function booksOf({ userId }: User): Promise<unknown> {
  const { rows } = await accounting.db.query(
    `SELECT jsonb_build_object(
       'account', (SELECT to_jsonb(a) - '{username,email,ledger_hash}'::text[] FROM user_accounts a WHERE id = $1),
       'lots', (SELECT jsonb_agg(to_jsonb(l) - 'id' ORDER BY l.id) FROM credit_allocations l WHERE user_id = $1),
       'holds', (SELECT jsonb_agg(to_jsonb(h) || jsonb_build_object(
                   'lease', h.lease_expires_at - h.created_at, 'lots', (
                     SELECT jsonb_agg(jsonb_build_array(t.held_credits, t.consumed_credits) ORDER BY t.allocation_id)
                     FROM hold_lots t WHERE t.hold_id = h.id)) ORDER BY (h.metadata ->> 'n')::integer, h.close_hash)
                 FROM streaming_sessions h WHERE h.user_id = $1),
       'ledger', (SELECT jsonb_agg(to_jsonb(t) - '{id,allocation_id,prev_hash,hash}'::text[] || jsonb_build_object('entries', (
                    SELECT jsonb_agg(jsonb_build_array(e.entry_no, e.account, e.amount) ORDER BY e.entry_no)
                    FROM credit_entries e WHERE e.transaction_id = t.id)) ORDER BY t.account_seq)
                  FROM credit_transactions t WHERE user_id = $1),
       'usage', (SELECT jsonb_agg(to_jsonb(u) - 'id' ORDER BY u.id) FROM usage_logs u WHERE user_id = $1),
       'events', (SELECT jsonb_agg(jsonb_build_array(o.type, o.payload - 'transactionId') ORDER BY o.created_at, (o.payload ->> 'transactionId')::bigint)
                  FROM outbox o WHERE user_id = $1),
       'counters', (SELECT jsonb_agg(jsonb_build_array(c.reserved, c.used) ORDER BY l.number)
                    FROM limit_counters c JOIN limits l ON l.id = c.limit_id WHERE c.subject = $1)) AS books`,
    [userId],
  );
  return rows[0];
}

/** Without ids and times, which differ between two worlds. */
const neutral = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value)
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'id')
      .replaceAll(/\b[0-9a-f]{24}\b/g, 'user')
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+(\+\d\d:\d\d|Z)/g, 'time')
      .replaceAll(/"resetsInSeconds": ?\d+/g, '"resetsInSeconds":0'),
  );

const lots = fc.array(
  fc.record({
    credits: fc.integer({ min: 1, max: 60 }),
    priority: fc.constantFrom(50, 100),
    only: fc.constantFrom(undefined, undefined, 'priced', 'other'),
    days: fc.constantFrom(null, 30),
  }),
  { maxLength: 3 },
);
const opens = fc.array(
  fc.record({
    kind: fc.constantFrom('new', 'new', 'new', 'new', 'again', 'clamp', 'free', 'huge', 'label', 'key', 'other model'),
    who: fc.nat({ max: 2 }),
    output: fc.integer({ min: 1, max: 25 }),
    pick: fc.nat({ max: 99 }),
  }),
  { minLength: 1, maxLength: 9 },
);
const ends = fc.array(
  fc.record({
    kind: fc.constantFrom(
      'settle',
      'settle',
      'settle',
      'void',
      'overrun',
      'stranger',
      'unknown',
      'repriced',
      'debt',
      'refused',
    ),
    charge: fc.nat({ max: 25 }),
    pick: fc.nat({ max: 99 }),
  }),
  { minLength: 1, maxLength: 9 },
);
const story = fc.record({
  lots: fc.array(lots, { minLength: 3, maxLength: 3 }),
  blocked: fc.boolean(),
  limited: fc.boolean(),
  turns: fc.array(fc.record({ opens, ends }), { minLength: 1, maxLength: 3 }),
});
type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never;

/** One of the two worlds: its people, and the ids of its holds in the order in which they were asked for. */
type World = { people: User[]; ids: { id: string; who: number; output: number }[] };

async function people({ lots: granted, blocked, limited }: Story): Promise<World> {
  const users: User[] = [];
  for (const [who, each] of granted.entries()) {
    const user = await accounting.user();
    for (const { credits, priority, only, days } of each)
      await accounting.grant(user, { credits, priority, days, ...(only !== undefined && { models: [only] }) });
    if (blocked && who === 2)
      await accounting.db.query("INSERT INTO blocks (kind, id, reason, blocked_by) VALUES ('user', $1, 'x', 'x')", [
        user.userId,
      ]);
    if (limited && who < 2)
      await accounting.db.query(
        `INSERT INTO limits (scope, subject, measure, "window", amount, created_by, updated_by)
         VALUES ('user', $1, 'credits', 'never', 40 + $2::bigint, 'x', 'x'), ('user', $1, 'requests', 'month', 5 + $2, 'x', 'x'),
           ('user', $1, 'tokens', 'month', 60 + $2, 'x', 'x'), ('user', $1, 'parallel', 'never', 3 + $2, 'x', 'x')`,
        [user.userId, who === 0 ? 1000 : 0],
      );
    users.push(user);
  }
  return { people: users, ids: [] };
}

function openingsOf(world: World, asked: Story['turns'][number]['opens']): Item[] {
  return asked.map(({ kind, who, output, pick }) => {
    const known = world.ids[pick % Math.max(world.ids.length, 1)];
    const user = world.people[kind === 'again' && known ? known.who : who] as User;
    if (kind === 'again' && known) return opening(user, known.id, known.output + (pick % 2));
    const id = randomUUID();
    world.ids.push({ id, who, output });
    const more = {
      clamp: { output: output * 4, units: { output: output * 4 }, min_output: 2 },
      free: { line: { ...LINE, slope: '0' } },
      huge: { line: { ...LINE, slope: '900719925474099100' } },
      key: { open_key: `hold:${known?.id}` },
      label: { opened_by: 'user', session_id: `label ${pick % 2}` },
      'other model': { model: 'other' },
    }[kind as string];
    return opening(user, id, output, { metadata: { n: world.ids.length }, ...more });
  });
}

function endingsOf(world: World, asked: Story['turns'][number]['ends']): Item[] {
  return asked.map(({ kind, charge, pick }) => {
    const known = world.ids[pick % Math.max(world.ids.length, 1)] ?? { id: randomUUID(), who: 0 };
    const user = world.people[known.who] as User;
    const more = {
      void: { cause: 'void', charge: 0, outcome: null, units: {}, reason: 'x', refused: pick % 2 === 0 },
      overrun: { charge: charge + 30 },
      stranger: { opened_by: 'somebody' },
      repriced: { price_rule_id: randomUUID() },
      debt: { charge: charge + 30, policy: 'debt' },
      refused: { charge: 0, refused: true },
    }[kind as string];
    return ending(user, kind === 'unknown' ? randomUUID() : known.id, charge, more);
  });
}

describe('a statement with many holds or endings', () => {
  it('gives each the answer, and leaves the books, that the same items leave one by one', async () => {
    const ways = { opened: 0, done: 0, others: 0 };
    await fc.assert(
      fc.asyncProperty(story, async (told) => {
        const [many, single] = [await people(told), await people(told)];
        for (const turn of told.turns) {
          const held = await ask(accounting.db, 'open_holds', openingsOf(many, turn.opens));
          expect(neutral(held)).toEqual(neutral(await oneByOne('open_holds', openingsOf(single, turn.opens))));
          const closed = await ask(accounting.db, 'close_holds', endingsOf(many, turn.ends));
          expect(neutral(closed)).toEqual(neutral(await oneByOne('close_holds', endingsOf(single, turn.ends))));
          for (const { outcome } of [...held, ...closed])
            ways[outcome === 'opened' || outcome === 'done' ? outcome : 'others'] += 1;
        }
        for (const [at, user] of many.people.entries())
          expect(neutral(await booksOf(user))).toEqual(neutral(await booksOf(single.people[at] as User)));
      }),
      { numRuns: 25, endOnFailure: true },
    );
    expect(Math.min(...Object.values(ways))).toBeGreaterThan(20);
  });
});
