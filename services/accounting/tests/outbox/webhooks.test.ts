import { createHmac } from 'node:crypto';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { accounting as contract } from '@tollgate/contracts';
import { createLogger } from '@tollgate/telemetry';
import type { ReceivedWebhook } from '@tollgate/test-kit';
import { CURRENT, DAY, Delivering, PREVIOUS } from './delivering.ts';

let world: Delivering;
beforeAll(async () => {
  world = await Delivering.start();
});
beforeEach(() => world.clear());
afterAll(async () => {
  expect(await world.accounting.faults()).toEqual([]);
  await world.stop();
});

/** By the specification and not by the library: HMAC-SHA256 over id.timestamp.body with the decoded key. */
function signatureOf({ headers, raw }: ReceivedWebhook, secret: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signed = Buffer.concat([Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`), raw]);
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
}

describe('a webhook', () => {
  it('tells the event, signed with the current and the previous secret', async () => {
    const alice = await world.lowAccount();
    await world.deliver('webhook');
    expect(world.hooks.received).toHaveLength(1);
    const hook = await world.hooks.untilReceived(0);
    expect(hook.headers['webhook-signature']).toBe(`${signatureOf(hook, CURRENT)} ${signatureOf(hook, PREVIOUS)}`);
    expect(Math.abs(Number(hook.headers['webhook-timestamp']) - Date.now() / 1000)).toBeLessThan(60);
    expect(hook).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json' } });
    const body: unknown = JSON.parse(hook.raw.toString());
    expect(contract.OutboxEvent.parse(body)).toEqual(body);
    expect(body).toMatchObject({
      type: 'credits.low',
      data: { userId: alice.userId, availableCredits: 10, heldCredits: 0, threshold: { kind: 'percent', value: 20 } },
    });
    expect(await world.rows('webhook')).toMatchObject([{ attempts: 1, state: 'delivered', last_error: null }]);
  });

  it.each([
    ['an error of the receiver', { status: 500 }, /^status 500$/],
    ['a redirect, which is not followed', { status: 302, headers: { location: '/elsewhere' } }, /^status 302$/],
    ['a reset connection', { reset: true }, /^(ECONNRESET|UND_ERR_SOCKET)$/],
    ['a receiver that does not answer', { hang: true }, /^TimeoutError$/],
  ] as const)('is sent again under the same id after %s', async (_what, answer, error) => {
    await world.lowAccount();
    world.hooks.script(answer);
    await world.deliver('webhook', 'hang' in answer ? await world.impatient() : undefined);
    const [waiting] = await world.rows('webhook');
    expect(waiting).toMatchObject({ attempts: 1, state: 'waiting' });
    expect(waiting?.last_error).toMatch(error);
    expect(waiting?.pause).toBeGreaterThanOrEqual(1);
    await world.deliver('webhook');
    expect(world.hooks.received).toHaveLength(1);
    await world.accounting.advanceClock(1);
    await world.deliver('webhook');
    expect(await world.rows('webhook')).toMatchObject([{ attempts: 2, state: 'delivered' }]);
    const [first, second, ...others] = world.hooks.received;
    expect(others).toEqual([]);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.raw.equals(first?.raw ?? Buffer.of())).toBe(true);
  });

  it('is delivered by any 2xx, however much the receiver says beside it', async () => {
    await Promise.all([world.lowAccount(), world.lowAccount()]);
    world.hooks.script({ status: 200, body: 'x'.repeat(8_000_000) }, { status: 202, body: '<html>' });
    await world.deliver('webhook');
    expect((await world.rows('webhook')).map(({ state }) => state)).toEqual(['delivered', 'delivered']);
  });

  it('waits as long as the receiver asks with 429 and 503, but not longer than the longest pause', async () => {
    await world.lowAccount();
    const inTwentyMinutes = new Date(Date.now() + 1_200_000).toUTCString();
    const asked = [
      [429, '900', [895, 905]],
      [503, inTwentyMinutes, [1190, 1205]],
      [503, '999999', [3595, 3605]],
      [500, '900', [0, 15]],
    ] as const;
    for (const [status, value, [least, most]] of asked) {
      world.hooks.script({ status, headers: { 'retry-after': value } });
      await world.accounting.db.query('UPDATE outbox_deliveries SET due_at = ledger_now(), attempts = 0');
      await world.deliver('webhook');
      const [waiting] = await world.rows('webhook');
      expect(waiting?.pause).toBeGreaterThanOrEqual(least);
      expect(waiting?.pause).toBeLessThanOrEqual(most);
    }
  });

  it('is given up at once when the receiver says that it is gone, with a metric', async () => {
    await world.lowAccount();
    world.hooks.script({ status: 410 });
    const before = await world.metric('tollgate_outbox_given_up_total\\{kind="webhook",type="credits.low"');
    await world.deliver('webhook');
    await world.accounting.advanceClock(1);
    await world.deliver('webhook');
    expect(world.hooks.received).toHaveLength(1);
    expect(await world.rows('webhook')).toMatchObject([{ state: 'given up', last_error: 'status 410' }]);
    expect(await world.metric('tollgate_outbox_given_up_total\\{kind="webhook",type="credits.low"')).toBe(before + 1);
  });

  it('is tried for days and then given up', async () => {
    await world.lowAccount();
    world.hooks.script(...Array.from({ length: 9 }, () => ({ status: 500 })));
    for (let day = 0; day < 2; day += 1) {
      await world.deliver('webhook');
      await world.accounting.advanceClock(DAY);
    }
    await world.deliver('webhook');
    expect(await world.rows('webhook')).toMatchObject([{ attempts: 3, state: 'waiting' }]);
    await world.accounting.advanceClock(DAY + 1);
    await world.deliver('webhook');
    expect(await world.rows('webhook')).toMatchObject([{ attempts: 4, state: 'given up', last_error: 'status 500' }]);
  });

  it('is sent once by three instances at the same time', async () => {
    const instances = [world.accounting.first, await world.accounting.another(), await world.accounting.another()];
    // Connected, so that they begin at the same time.
    for (const instance of instances) await world.deliver('webhook', instance);
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(Array.from({ length: 5 }, () => world.lowAccount()));
      await world.accounting.flows.routeEvents();
      world.hooks.script(...Array.from({ length: 5 }, () => ({ delayMs: 50 })));
      await Promise.all(
        instances.flatMap(({ deps }) => deps.channels.flatMap((channel) => [deps.flows.deliverEvents(channel)])),
      );
    }
    expect(world.hooks.received).toHaveLength(25);
    expect(new Set(world.hooks.received.map(({ headers }) => headers['webhook-id'])).size).toBe(25);
    expect((await world.rows('webhook')).map(({ attempts }) => attempts)).toEqual(Array.from({ length: 25 }, () => 1));
  });

  it('is taken over when its deliverer has died, after the lease and not before', async () => {
    await world.lowAccount();
    await world.accounting.first.deps.flows.routeEvents();
    const [channel] = world.accounting.first.deps.channels;
    if (!channel) throw new Error('no channel');
    const { promise: taken, resolve } = Promise.withResolvers<void>();
    const died = new Promise<never>(() => {});
    void world.accounting.flows.deliverEvents({
      ...channel,
      deliver() {
        resolve();
        return died;
      },
    });
    await taken;
    const other = await world.accounting.another();
    await world.deliver('webhook', other);
    expect(world.hooks.received).toEqual([]);
    await world.accounting.advanceClock(0.1);
    await world.deliver('webhook', other);
    expect(await world.rows('webhook')).toMatchObject([{ attempts: 2, state: 'delivered' }]);
    expect(world.hooks.received).toHaveLength(1);
  });

  it('that does not get through keeps mail waiting for nothing, and shows in the metrics', async () => {
    const alice = await world.lowAccount();
    world.hooks.script({ status: 500 });
    await world.deliver('webhook');
    await world.deliver('mail');
    await world.mails.waitForMail(`${alice.userId}@example.test`);
    await world.accounting.advanceClock(1);
    await world.accounting.flows.routeEvents();
    expect(await world.metric('tollgate_outbox_waiting')).toBe(1);
    expect(await world.metric('tollgate_outbox_oldest_seconds')).toBeGreaterThan(3500);
  });

  it('shows neither secrets nor addresses with secrets in logs, metrics and tables', async () => {
    let log = '';
    const destination = new Writable({
      write(chunk, _encoding, done) {
        log += String(chunk);
        done();
      },
    });
    const spied = await world.accounting.another(
      {},
      createLogger({ service: 'accounting', level: 'debug', destination }),
    );
    await world.lowAccount();
    world.hooks.script({ status: 500 }, { reset: true }, { status: 410 });
    for (let n = 0; n < 3; n += 1) {
      await world.deliver('webhook', spied);
      await world.accounting.advanceClock(1);
    }
    expect(log).toContain('outbox_given_up');
    const { rows } = await world.accounting.db.query('SELECT * FROM outbox_deliveries');
    const seen = log + JSON.stringify(rows) + (await spied.deps.metrics.text());
    for (const secret of [CURRENT, PREVIOUS, CURRENT.slice(6), 'path-secret-1', 'query-secret-2'])
      expect(seen).not.toContain(secret);
  });
});
