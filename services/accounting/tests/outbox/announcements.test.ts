import { Writable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { accounting as contract } from '@tollgate/contracts';
import { createLogger } from '@tollgate/telemetry';
import type { Instance } from '../harness/instance.ts';
import { Delivering } from './delivering.ts';

// Heads and drifts are found by whichever instance is first; the receiver hears of each from one.

let world: Delivering;
let instances: Instance[];
beforeAll(async () => {
  world = await Delivering.start();
  instances = [world.accounting.first, await world.accounting.another(), await world.accounting.another()];
  // Connected, so that they begin at the same time.
  for (const instance of instances) await world.deliver('webhook', instance);
});
beforeEach(() => world.clear());
afterAll(async () => {
  expect(await world.accounting.faults()).toEqual([]);
  await world.stop();
});

/** What the receiver was told by all instances, each event as its contract says. */
async function told(type: contract.OutboxEventType): Promise<unknown[]> {
  await Promise.all(instances.map((instance) => world.deliver('webhook', instance)));
  return world.hooks.received
    .map(({ raw }) => JSON.parse(raw.toString()) as unknown)
    .filter((body) => {
      expect(contract.OutboxEvent.parse(body)).toEqual(body);
      return Object(body).type === type;
    })
    .map((body) => Object(body).data as unknown);
}

/** What a superuser changes with all triggers off. */
async function forgeUsage(change: string, holdId: string): Promise<void> {
  const client = await world.accounting.db.connect();
  await client.query("SET session_replication_role = 'replica'");
  await client.query(`UPDATE usage_logs SET credits = credits ${change} WHERE hold_id = $1`, [holdId]);
  await client.query('RESET session_replication_role');
  client.release();
}

const chargedHold = async (): Promise<string> => {
  const alice = await world.accounting.user({ credits: 100 });
  const holdId = await world.accounting.held(alice, 10);
  world.accounting.expect(200, await world.accounting.settle(alice, holdId, 10));
  return holdId;
};

describe('a webhook', () => {
  it('tells a signed head of the ledger once, whichever of three instances has signed it', async () => {
    for (let round = 0; round < 5; round += 1) {
      world.hooks.clear();
      await chargedHold();
      await Promise.all(instances.map(({ deps }) => deps.flows.takeHead()));
      const { heads } = await world.accounting.flows.listHeads({ limit: 1 });
      expect(await told('ledger.head')).toEqual(heads);
    }
  });

  it('tells a drift once for each invariant that is broken, whichever of three instances has found it', async () => {
    const holdId = await chargedHold();
    await forgeUsage('+ 1', holdId);
    await Promise.all(instances.map(({ deps }) => deps.flows.reconcile({ youngestMs: 60_000 })));
    expect(await told('ledger.drift')).toEqual([
      { invariant: 'I6', title: expect.any(String), offenders: 1, first: expect.objectContaining({ hold_id: holdId }) },
    ]);
    await forgeUsage('- 1', holdId);
  });

  it('tells a charge that neither its hold nor the balance covered', async () => {
    const alice = await world.accounting.user({ credits: 10 });
    const holdId = await world.accounting.held(alice, 10);
    world.accounting.expect(200, await world.accounting.settle(alice, holdId, 15));
    expect(await told('usage.overrun')).toMatchObject([{ userId: alice.userId, holdId, writtenOffCredits: 5 }]);
  });
});

describe('an outbox that takes nothing', () => {
  it('makes neither a head nor a reconciliation fail; the log says what was not told', async () => {
    let log = '';
    const destination = new Writable({
      write(chunk, _encoding, done) {
        log += String(chunk);
        done();
      },
    });
    const logger = createLogger({ service: 'accounting', level: 'info', destination });
    const { flows } = (await world.accounting.another({}, logger)).deps;
    const holdId = await chargedHold();
    await forgeUsage('+ 1', holdId);
    const { heads: before } = await flows.listHeads({ limit: 1 });
    await world.accounting.db.query('ALTER TABLE outbox RENAME TO outbox_away');
    await flows.takeHead();
    await flows.reconcile();
    await world.accounting.db.query('ALTER TABLE outbox_away RENAME TO outbox');
    await forgeUsage('- 1', holdId);
    const { heads: after } = await flows.listHeads({ limit: 1 });
    expect(after[0]?.number).toBe((before[0]?.number ?? 0) + 1);
    expect(await told('ledger.head')).toEqual([]);
    for (const type of ['ledger.head', 'ledger.drift'])
      expect(log).toMatch(
        new RegExp(`an event was not put into the outbox.*${type}|${type}.*an event was not put into`),
      );
  });
});
