import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';
import { ACCOUNT, type Entrance } from './entrances/entrance.ts';
import { entrancesOf } from './entrances/entrances.ts';
import { StatementLog, WRITE } from './entrances/statement-log.ts';

// What guards a write must stand before it, in the same transaction. New entrances fail here until they have a line in entrances/.

let accounting: Accounting;
let alice: User;
let log: StatementLog;
let entrances: Record<string, Entrance>;
beforeAll(async () => {
  accounting = await Accounting.start();
  alice = await accounting.user({ credits: 1000 });
  log = await StatementLog.open(String(accounting.env['DATABASE_OWNER_URL']));
  entrances = entrancesOf({ accounting, alice, log });
});
afterAll(async () => {
  await log.close();
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

/** What somebody owns: only under the lock of the account, unless nobody else has seen the account yet. */
const BOOKS = /\b(INSERT INTO|UPDATE|DELETE FROM) (credit_allocations|hold_lots|credit_transactions|credit_entries)\b/;
const NEW_ACCOUNT = /^INSERT INTO user_accounts .*ON CONFLICT/;

const NAMES = [
  ...readFileSync(new URL('../../src/store/functions/99-entrances.sql', import.meta.url), 'utf8').matchAll(
    /^ALTER FUNCTION (\w+) SECURITY DEFINER/gm,
  ),
].map(([, name]) => String(name));

describe('every entrance', () => {
  it('is looked at here', async () => {
    const { rows } = await log.client.query(
      "SELECT proname FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace AND prosecdef ORDER BY 1",
    );
    expect(rows.map(({ proname }) => String(proname))).toEqual(Object.keys(entrances).sort());
    expect(NAMES.toSorted()).toEqual(Object.keys(entrances).sort());
  });

  it.each(NAMES)('%s locks what it decides on before its first write, in the same transaction', async (name) => {
    const { guard = /-/, isLoop = false, run } = entrances[name] ?? {};
    const statements = (await run?.()) ?? [];
    const firstOf = (sign: RegExp) => statements.findIndex((text) => sign.test(text));
    const stands = (lock: number, write: number) => lock >= 0 && (lock <= write || isLoop);
    const owned = firstOf(BOOKS);
    expect({
      name,
      statements,
      writes: firstOf(WRITE) >= 0,
      isGuarded: stands(firstOf(guard), firstOf(WRITE)),
      areBooksGuarded: owned < 0 || stands(firstOf(ACCOUNT), owned) || stands(firstOf(NEW_ACCOUNT), owned),
    }).toMatchObject({ writes: true, isGuarded: true, areBooksGuarded: true });
  });

  it('is not taken for guarded by a test that would believe anything: a write without a lock is noticed', async () => {
    const statements = await log.of('UPDATE user_accounts SET username = username WHERE id = $1', [alice.userId]);
    expect(statements.some((text) => WRITE.test(text))).toBe(true);
    expect(statements.some((text) => ACCOUNT.test(text))).toBe(false);
  });
});
