import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DAY, Delivering, OPERATOR } from './delivering.ts';

let world: Delivering;
beforeAll(async () => {
  world = await Delivering.start();
});
beforeEach(() => world.clear());
afterAll(async () => {
  expect(await world.accounting.faults()).toEqual([]);
  await world.stop();
});

describe('a mail about a low balance', () => {
  it('goes to the owner of the account and to operators, each once', async () => {
    const alice = await world.lowAccount();
    await Promise.all([world.deliver('mail'), world.deliver('mail')]);
    const own = await world.mails.waitForMail(`${alice.userId}@example.test`);
    expect(own).toMatchObject({ subject: 'Your credits are running low', from: 'no-reply@example.test' });
    expect(own.text).toContain(`Hello u-${alice.userId},`);
    expect(own.text).toContain('You have 10 credits left.');
    expect((await world.mails.waitForMail(OPERATOR)).text).toContain(`userId: ${alice.userId}`);
    expect(world.mails.mails()).toHaveLength(2);
  });

  it('goes to the address that the account has when it is sent, and to nobody when it has none', async () => {
    const [alice, bob] = [await world.lowAccount(), await world.lowAccount()];
    await world.accounting.flows.routeEvents();
    await world.accounting.db.query("UPDATE user_accounts SET email = 'new@example.test' WHERE id = $1", [
      alice.userId,
    ]);
    await world.accounting.db.query('UPDATE user_accounts SET email = NULL WHERE id = $1', [bob.userId]);
    await world.deliver('mail');
    await world.mails.waitForMail('new@example.test');
    const recipients = world.mails.mails().flatMap(({ to }) => to);
    expect(recipients.filter((to) => to !== OPERATOR)).toEqual(['new@example.test']);
    expect((await world.rows('mail')).filter(({ state }) => state === 'given up')).toMatchObject([
      { destination: 'account', last_error: 'nobody to write to' },
    ]);
  });

  it('gets no header and no markup from the name and address of a user', async () => {
    const [named, addressed] = [await world.lowAccount(), await world.lowAccount()];
    await world.accounting.db.query('UPDATE user_accounts SET username = $2 WHERE id = $1', [
      named.userId,
      'Eve\r\nBcc: spy@example.test\r\n\r\n<script>alert(1)</script>',
    ]);
    await world.accounting.db.query('UPDATE user_accounts SET email = $2 WHERE id = $1', [
      addressed.userId,
      'eve@example.test\r\nBcc: spy@example.test',
    ]);
    await world.deliver('mail');
    const mail = await world.mails.waitForMail(`${named.userId}@example.test`);
    expect(mail.headers.map(({ name }) => name.toLowerCase())).not.toContain('bcc');
    expect(mail.html).not.toContain('<script>');
    expect(world.mails.mails('spy@example.test')).toEqual([]);
    expect(world.mails.mails('eve@example.test')).toEqual([]);
  });

  it('is given up when the address is refused for good, and sent again when it is refused for now', async () => {
    await world.lowAccount();
    world.mails.refuseRecipients(550);
    await world.deliver('mail');
    expect((await world.rows('mail')).map(({ state }) => state)).toEqual(['given up', 'given up']);
    const bob = await world.lowAccount();
    world.mails.refuseRecipients(451);
    await world.deliver('mail');
    expect((await world.rows('mail')).filter(({ state }) => state === 'waiting')).toHaveLength(2);
    world.mails.refuseRecipients();
    await world.accounting.advanceClock(1);
    await world.deliver('mail');
    await world.mails.waitForMail(`${bob.userId}@example.test`);
  });
});

describe('the outbox', () => {
  it('routes what nobody wants to nobody, and forgets what is through after its time', async () => {
    const emit = (type: string) =>
      world.accounting.db.query('SELECT ledger.emit_event($1, $2, NULL, $3, NULL)', [
        'default',
        type,
        { root: randomUUID() },
      ]);
    await emit('ledger.head');
    await world.deliver('mail');
    expect(await world.rows('mail')).toEqual([]);
    await world.accounting.advanceClock(31 * DAY);
    await emit('ledger.head');
    await world.deliver('webhook');
    while (await world.accounting.flows.tidyOutbox());
    expect(await world.accounting.number('SELECT count(*) AS value FROM outbox')).toBe(1);
  });

  it('gives up what is meant for a receiver that is not configured any more', async () => {
    await world.lowAccount();
    await world.accounting.flows.routeEvents();
    await world.accounting.db.query(
      "UPDATE outbox_deliveries SET destination = 'old.example.test#00000000' WHERE kind = 'webhook'",
    );
    await world.accounting.advanceClock(4 * DAY);
    await world.deliver('webhook');
    await world.accounting.flows.tidyOutbox();
    expect(await world.rows('webhook')).toMatchObject([{ state: 'waiting' }]);
    await world.accounting.advanceClock(DAY);
    await world.accounting.flows.tidyOutbox();
    expect(await world.rows('webhook')).toMatchObject([{ state: 'given up', attempts: 0 }]);
    expect(world.hooks.received).toEqual([]);
  });

  it('delivers by its own rounds', async () => {
    const running = await world.accounting.another({
      OUTBOX_INTERVAL: '50ms',
      OUTBOX_LEASE: '1s',
      WEBHOOK_TIMEOUT: '500ms',
    });
    await running.deps.start();
    const alice = await world.lowAccount();
    expect((await world.mails.waitForMail(`${alice.userId}@example.test`)).subject).toContain('running low');
    // Lots of earlier accounts lapsed when the clock was moved, and are told of as well.
    let told = '';
    for (let n = 0; !told.includes(alice.userId); n += 1) told = (await world.hooks.untilReceived(n)).raw.toString();
    expect(JSON.parse(told)).toMatchObject({ type: 'credits.low' });
  });
});
