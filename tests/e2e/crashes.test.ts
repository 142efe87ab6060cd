import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Platform, directive, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
/** The 60 s lease at one twentieth. */
const LEASE_SECONDS = 3;
beforeAll(async () => {
  platform = await startPlatform({ leaseSeconds: LEASE_SECONDS });
}, 120_000);
afterAll(() => platform.stop());

it('settles an answer once, at its checkpoint or above, when the proxy is killed in mid-stream', async () => {
  const alice = await platform.user({ credits: 1000 });
  const chat = await alice.chat({
    question: directive({ tokens: 200, hangAfter: 50 }),
    chatflow_id: platform.chatflows.priced,
  });
  await chat.until('token', 50);
  await platform.untilCheckpoint(alice.userId, 50);
  await platform.chatProxy.end('SIGKILL');
  await chat.toEnd();
  expect(chat.cut).toBe(true);
  await platform.chatProxy.start();

  const killed = performance.now();
  const books = await platform.untilNoOpenHold(alice.userId);
  // Lease, then at the latest the sweeper's next round.
  expect(performance.now() - killed).toBeLessThan(LEASE_SECONDS * 2 * 1000);
  expect(books).toMatchObject({ available: 950, held: 0, openHolds: 0, terminalHolds: 1, charged: 50 });
  expect(await platform.books.sumOfAllEntries()).toBe(0);
  const { body } = await alice.accounting('GET', '/api/usage/stats');
  expect(body).toMatchObject({ totalRecords: 1, totalCredits: 50 });
}, 60_000);

it('settles an answer once and in full when accounting is killed between hold and settle', async () => {
  const bob = await platform.user({ credits: 1000 });
  const chat = await bob.chat({
    question: directive({ tokens: 30, tokenDelayMs: 40 }),
    chatflow_id: platform.chatflows.priced,
  });
  await chat.until('token', 5);
  await platform.accounting.end('SIGKILL');
  await chat.toEnd();
  // The answer was complete for the user although nobody could book it yet.
  expect(chat.text).not.toBe('');
  expect(chat.events.at(-1)?.event).toBe('end');
  await platform.accounting.start();
  // The lease may end first; then the settlement that is still to come corrects the charge.
  const books = await platform.untilCharged(bob.userId, 30);
  expect(books).toMatchObject({ available: 970, held: 0, openHolds: 0, terminalHolds: 1, charged: 30 });
  expect(await platform.books.sumOfAllEntries()).toBe(0);
}, 60_000);

it('refuses new chats with 503 while accounting is down, calls no upstream, and recovers', async () => {
  const carol = await platform.user({ credits: 10 });
  const calls = platform.flowise.calls();
  await platform.accounting.end('SIGKILL');
  const refused = await carol.chat({ question: 'Hello', chatflow_id: platform.chatflows.chain });
  expect(refused.problem).toMatchObject({ status: 503, code: 'accounting_unavailable' });
  expect(refused.headers).toHaveProperty('retry-after');
  expect(platform.flowise.calls()).toBe(calls);
  await platform.accounting.start();
  const answer = await (await carol.chat({ question: 'Hello', chatflow_id: platform.chatflows.chain })).toEnd();
  expect(answer.status).toBe(200);
  expect(await platform.untilNoOpenHold(carol.userId)).toMatchObject({ available: 9, held: 0 });
}, 60_000);
