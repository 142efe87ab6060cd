import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createSweepSteadily } from '../../src/flows/sweep-steadily.ts';
import { Accounting } from '../harness/accounting.ts';

const SECOND = 1000;
const PACE = { intervalMs: 15 * SECOND, startDelayMs: 60 * SECOND, leaseMs: 60 * SECOND };

/** The sweeper on a clock that the test moves; `sweeps` are the seconds at which it closed holds. */
function sweeper() {
  let seconds = 0;
  let fault: Error | undefined;
  const sweeps: number[] = [];
  const chores = {
    async now() {
      if (fault && !(fault instanceof AggregateError)) throw fault;
      return new Date(seconds * SECOND);
    },
  };
  const sweepHolds = async () => {
    if (fault) throw fault;
    sweeps.push(seconds);
    return false;
  };
  const round = createSweepSteadily({ chores, sweepHolds }, PACE);
  return {
    sweeps,
    async at(...times: number[]) {
      fault = undefined;
      for (seconds of times) await round();
    },
    async failsAt(time: number, error: Error) {
      seconds = time;
      fault = error;
      await expect(round()).rejects.toBe(error);
    },
  };
}

describe('rounds of the sweeper', () => {
  it('close nothing before one lease has passed since the database first answered', async () => {
    const { at, failsAt, sweeps } = sweeper();
    await failsAt(0, new Error('away'));
    await at(15, 30, 45, 60, 74);
    expect(sweeps).toEqual([]);
    await at(75, 90);
    expect(sweeps).toEqual([75, 90]);
  });

  it('wait one lease after a round that failed', async () => {
    const { at, failsAt, sweeps } = sweeper();
    await at(0, 15, 30, 45, 60);
    await failsAt(75, new Error('away'));
    await at(90, 105, 120, 135, 149);
    expect(sweeps).toEqual([60]);
    await at(150);
    expect(sweeps).toEqual([60, 150]);
  });

  it("wait one lease after a gap on the database's clock, however it came about", async () => {
    const { at, sweeps } = sweeper();
    await at(0, 15, 30, 45, 60, 77, 300, 315, 330, 345, 359);
    expect(sweeps).toEqual([60, 77]);
    await at(360);
    expect(sweeps).toEqual([60, 77, 360]);
  });

  it('go on when single holds could not be closed', async () => {
    const { at, failsAt, sweeps } = sweeper();
    await at(0, 15, 30, 45, 60);
    await failsAt(75, new AggregateError([], 'one hold'));
    await at(90);
    expect(sweeps).toEqual([60, 90]);
  });
});

describe('sweeping', () => {
  let accounting: Accounting;
  beforeAll(async () => {
    accounting = await Accounting.start({ SWEEP_INTERVAL: '50ms', SWEEP_START_DELAY: '0ms' });
  });
  afterAll(async () => {
    expect(await accounting.faults()).toEqual([]);
    await accounting.stop();
  });

  it('gets past more holds that cannot be closed than it takes at a time, and comes back to them', async () => {
    const alice = await accounting.user({ credits: 10 });
    await accounting.db.query(
      `INSERT INTO streaming_sessions (id, user_id, payer_id, opened_by, open_key, open_hash, units, price_rule_id, checkpoint, held_credits,
         lease_expires_at, created_at)
       SELECT gen_random_uuid(), $1, $1, 'chat-proxy', 'k' || n, '', '{}', $2, '{"output": 1}', 0, ledger_now(), ledger_now()
       FROM generate_series(1, 200) n`,
      [alice.userId, randomUUID()],
    );
    const holdId = await accounting.held(alice, 10);
    await accounting.advanceClock(1);
    await expect(accounting.flows.sweepHolds()).rejects.toThrow('200 holds could not be closed');
    await accounting.flows.sweepHolds();
    expect((await accounting.proxy('GET', `/api/holds/${holdId}`, alice)).body).toMatchObject({ status: 'expired' });
    await accounting.db.query("UPDATE streaming_sessions SET checkpoint = NULL WHERE status = 'active'");
    while (await accounting.flows.sweepHolds());
    await accounting.flows.sweepHolds();
    expect(await accounting.number("SELECT count(*) AS value FROM streaming_sessions WHERE status = 'active'")).toBe(0);
  });

  it('closes what it can while an account is locked, and the rest later', async () => {
    const [alice, bob] = [await accounting.user({ credits: 10 }), await accounting.user({ credits: 10 })];
    const [locked, free] = [await accounting.held(alice, 4), await accounting.held(bob, 4)];
    await accounting.advanceClock(1);
    const client = await accounting.db.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM user_accounts WHERE id = $1 FOR UPDATE', [alice.userId]);
    await expect(accounting.flows.sweepHolds()).rejects.toThrow('1 holds could not be closed');
    await client.query('ROLLBACK');
    client.release();
    const statusOf = async (user: typeof alice, holdId: string) =>
      (await accounting.proxy('GET', `/api/holds/${holdId}`, user)).body['status'];
    expect([await statusOf(alice, locked), await statusOf(bob, free)]).toEqual(['active', 'expired']);
    await accounting.flows.sweepHolds();
    await accounting.flows.sweepHolds();
    expect(await statusOf(alice, locked)).toBe('expired');
  });

  it('leaves live holds alone when the database was away for longer than a lease', async () => {
    const alice = await accounting.user({ credits: 10 });
    await accounting.first.deps.start();
    const swept = await accounting.held(alice, 1);
    await accounting.db.query('UPDATE streaming_sessions SET lease_expires_at = ledger_now() WHERE id = $1', [swept]);
    const statusOf = async (holdId: string) =>
      (await accounting.proxy('GET', `/api/holds/${holdId}`, alice)).body['status'];
    while ((await statusOf(swept)) === 'active');
    const lot = await accounting.grant(alice, { credits: 5, days: 1 });
    const live = await accounting.held(alice, 1);
    await accounting.advanceClock(25);
    // Booked by the round beside the sweeper's, at the same pace.
    while ((await accounting.lot(lot))[3] === 0);
    for (let asked = 0; asked < 100; asked += 1) expect(await statusOf(live)).toBe('active');
    accounting.expect(200, await accounting.renew(alice, live));
    await accounting.void(alice, live);
  });
});
