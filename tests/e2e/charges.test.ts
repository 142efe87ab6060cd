import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { callJson, directive, type Person, type Platform, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(() => platform.stop());

/** What the books say about the only hold of a user. */
async function holdOf({ userId }: Person) {
  const [hold] = await platform.books.query(
    `SELECT h.held_credits::int AS held, h.charged_credits::int AS charged, h.overrun_credits::int AS overrun,
            h.written_off_credits::int AS "writtenOff", u.usage_source AS source
     FROM streaming_sessions h JOIN usage_logs u ON u.hold_id = h.id WHERE h.user_id = $1`,
    [userId],
  );
  return hold;
}

it('case 29: charges what the provider reports beyond our count: from the hold, then from the balance, then written off, each marked', async () => {
  const reports = [
    { credits: 1100, output: 40, held: 1024, charged: 40, overrun: 0, writtenOff: 0 },
    { credits: 2000, output: 1500, held: 1024, charged: 1500, overrun: 476, writtenOff: 0 },
    { credits: 1100, output: 1500, held: 1024, charged: 1100, overrun: 76, writtenOff: 400 },
  ];
  for (const { credits, output, ...booked } of reports) {
    const alice = await platform.user({ credits });
    const question = directive({ tokens: 4, usage: { input: 0, output } });
    const chat = await (await alice.chat({ question, chatflow_id: platform.chatflows.priced })).toEnd();
    expect(chat.data('usage')).toMatchObject({ credits: booked.charged, remaining_credits: credits - booked.charged });
    await platform.untilNoOpenHold(alice.userId);
    expect(await holdOf(alice)).toEqual({ ...booked, source: 'provider' });
    expect(await alice.balance()).toBe(credits - booked.charged);
  }
  expect(await platform.books.sumOfAllEntries()).toBe(0);
});

it('case 48: meets a retry of the same request id with the same hold while it runs, with 409 afterwards, and charges once', async () => {
  const bob = await platform.user({ credits: 1000 });
  const question = directive({ tokens: 20, hangAfter: 3 });
  const chat = await bob.chat({ question, chatflow_id: platform.chatflows.priced });
  await chat.until('token', 3);
  const holdId = String(chat.events[0]?.request_id);
  const asProxy = async (method: 'GET' | 'POST', path: string, body?: object) =>
    callJson(method, platform.urls.accounting + path, {
      token: await platform.tokens.service('chat-proxy', 'accounting'),
      headers: { 'x-on-behalf-of': `Bearer ${bob.accessToken}` },
      body,
    });
  const { body: held } = await asProxy('GET', `/api/holds/${holdId}`);
  const resource = { upstream: 'openai', model: 'priced', chatflowId: platform.chatflows.priced };
  // The client named no limit and its balance is below the usual one: this is what the proxy had asked for.
  const again = { holdId, resource, units: { ...(held.units as object), output: 1024 }, minOutput: 256 };
  const [first, second] = [await asProxy('POST', '/api/holds', again), await asProxy('POST', '/api/holds', again)];
  for (const retry of [first, second]) {
    expect(retry).toMatchObject({ status: 201, body: { holdId, heldCredits: held.heldCredits, status: 'active' } });
  }
  expect(await platform.books.ofUser(bob.userId)).toMatchObject({ available: 0, held: 1000, openHolds: 1 });

  chat.hangUp();
  await platform.untilNoOpenHold(bob.userId);
  expect(await asProxy('POST', '/api/holds', again)).toMatchObject({ status: 409, body: { code: 'hold_closed' } });
  const books = { available: 997, held: 0, openHolds: 0, terminalHolds: 1, charged: 3 };
  expect(await platform.books.ofUser(bob.userId)).toEqual(books);
});
