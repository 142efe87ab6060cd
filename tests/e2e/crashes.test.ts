import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callJson, directive, eventually, type Platform, startChat, startPlatform } from '@tollgate/test-kit';

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

/** A request with an Idempotency-Key: its status, and what its body holds. */
async function askWithKey({ accessToken: token }: { accessToken: string }, question: string, key: string) {
  const response = await fetch(`${platform.urls.chatProxy}/api/v1/chat/predict/stream`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ question, chatflow_id: platform.chatflows.priced }),
  });
  return { status: response.status, replayed: response.headers.get('idempotency-replayed'), body: response.body };
}

/** The same again until its first process is known to be dead and its hold has ended. */
async function repeatUntilKnown(...asked: Parameters<typeof askWithKey>) {
  return eventually(async () => {
    const again = await askWithKey(...asked);
    if (again.status !== 409) return { ...again, text: await new Response(again.body).text() };
    expect(await new Response(again.body).json()).toMatchObject({ code: 'idempotency_in_progress' });
    return undefined;
  }, 'the answer of a dead process');
}

describe('a request with an Idempotency-Key whose proxy is killed', () => {
  it('in mid-stream is charged once, and its repetition gets what is known, and no second answer', async () => {
    const gina = await platform.user({ credits: 1000 });
    const question = directive({ tokens: 200, hangAfter: 50 });
    const calls = platform.openai.calls();
    const first = await askWithKey(gina, question, 'killed');
    await platform.untilCheckpoint(gina.userId, 50);
    await platform.chatProxy.end('SIGKILL');
    await first.body?.cancel().catch(() => undefined);
    await platform.chatProxy.start();
    const again = await repeatUntilKnown(gina, question, 'killed');
    expect(again).toMatchObject({ status: 200, replayed: 'true' });
    expect(again.text).toMatch(/"event":"token"/);
    expect(again.text).toMatch(/"event":"error","data":\{"code":"server_shutdown"/);
    expect(platform.openai.calls()).toBe(calls + 1);
    const books = await platform.untilNoOpenHold(gina.userId);
    expect(books).toMatchObject({ available: 950, terminalHolds: 1, charged: 50 });
  }, 60_000);

  it('before the first token has had no effect: the repetition is answered, and charged once', async () => {
    const hugo = await platform.user({ credits: 1000 });
    const question = directive({ tokens: 5, firstByteDelayMs: 1500 });
    const calls = platform.openai.calls();
    const first = askWithKey(hugo, question, 'early').catch(() => undefined);
    await eventually(async () => (platform.openai.calls() > calls ? true : undefined), 'the call of the model');
    await platform.chatProxy.end('SIGKILL');
    await first;
    await platform.chatProxy.start();
    const again = await repeatUntilKnown(hugo, question, 'early');
    expect(again).toMatchObject({ status: 200, replayed: null });
    expect(again.text).toMatch(/"event":"end"/);
    const books = await platform.untilNoOpenHold(hugo.userId);
    expect(books).toMatchObject({ available: 995, charged: 5 });
  }, 60_000);
});

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

it.each(['before', 'after'] as const)(
  'charges an answer once whose key was revoked in the middle, when accounting is killed %s that',
  async (when) => {
    const erin = await platform.user({ credits: 1000 });
    const scopes = { name: 'ci', scopes: ['chat:use'], currentPassword: erin.password };
    const made = await erin.auth<{ apiKey: { id: string }; key: string }>('POST', '/api/api-keys', scopes);
    const chat = await startChat(`${platform.urls.chatProxy}/api/v1/chat/predict/stream`, made.body.key, {
      question: directive({ tokens: 400, hangAfter: 20 }),
      chatflow_id: platform.chatflows.priced,
    });
    await chat.until('token', 20);
    if (when === 'before') await platform.accounting.end('SIGKILL');
    expect((await erin.auth('DELETE', `/api/api-keys/${made.body.apiKey.id}`)).status).toBe(200);
    if (when === 'after') await platform.accounting.end('SIGKILL');
    await chat.toEnd();
    expect(chat.data('error')).toMatchObject({ code: 'key_revoked' });
    await platform.accounting.start();
    const books = await platform.untilCharged(erin.userId, 20);
    expect(books).toEqual({ available: 980, held: 0, openHolds: 0, terminalHolds: 1, charged: 20 });
    const { body } = await erin.accounting('GET', '/api/usage/stats');
    expect(body).toMatchObject({ totalRecords: 1, totalCredits: 20 });
    expect(await platform.books.sumOfAllEntries()).toBe(0);
  },
  60_000,
);

it('refuses new chats with 503 while accounting is down, calls no upstream, and recovers', async () => {
  const carol = await platform.user({ credits: 10 });
  const calls = platform.flowise.calls();
  await platform.accounting.end('SIGKILL');
  const refused = await carol.chat({ question: 'Hello', chatflow_id: platform.chatflows.chain });
  expect(refused.problem).toMatchObject({ status: 503, code: 'accounting_unavailable' });
  expect(refused.headers).toHaveProperty('retry-after');
  expect(platform.flowise.calls()).toBe(calls);
  await platform.accounting.start();
  // The breaker lets nobody through for a moment more.
  await eventually(async () => {
    const answer = await (await carol.chat({ question: 'Hello', chatflow_id: platform.chatflows.chain })).toEnd();
    return answer.status === 200 || undefined;
  }, 'an answer');
  expect(await platform.untilNoOpenHold(carol.userId)).toMatchObject({ available: 9, held: 0 });
}, 60_000);

describe('a proxy that is killed after its last checkpoint', () => {
  const RENEWED_SECONDS = 2;
  let model: Awaited<ReturnType<typeof startModelByHand>>;
  let slow: Platform;
  beforeAll(async () => {
    model = await startModelByHand();
    // The journal is written at 256 tokens, and accounting hears of progress only by renewals: both are known to the test.
    const chatProxy = {
      OPENAI_BASE_URL: model.url,
      HOLD_RENEW_INTERVAL: `${RENEWED_SECONDS}s`,
      CHECKPOINT_INTERVAL: '60s',
      JOURNAL_LEASE: '3m',
    };
    slow = await startPlatform({ leaseSeconds: 3 * RENEWED_SECONDS, chatProxy });
  }, 120_000);
  afterAll(async () => {
    await slow.stop();
    await model.stop();
  });

  it('case 38: has its answer of 500 tokens settled at 480, the last checkpoint, and who comes second finds it final', async () => {
    const dave = await slow.user({ credits: 1000 });
    const asked = dave.chat({ question: 'Go on', chatflow_id: slow.chatflows.priced });
    await model.write(480);
    const chat = await asked;
    await chat.until('token', 480);
    await slow.untilCheckpoint(dave.userId, 480);
    // Right after a renewal, so that the next one comes too late.
    await model.write(20);
    await chat.until('token', 20);
    await slow.chatProxy.end('SIGKILL');
    await slow.chatProxy.start();
    const books = await slow.untilNoOpenHold(dave.userId);
    expect(books).toEqual({ available: 520, held: 0, openHolds: 0, terminalHolds: 1, charged: 480 });

    const holdId = String(chat.events[0]?.request_id);
    const second = await callJson('POST', `${slow.urls.accounting}/api/holds/${holdId}/settle`, {
      token: await slow.tokens.service('chat-proxy', 'accounting'),
      headers: { 'x-on-behalf-of': dave.userId },
      body: { outcome: 'recovered', units: { request: 1, output: 480 }, usageSource: 'checkpoint' },
    });
    expect(second).toMatchObject({ status: 200, body: { alreadyFinal: true, chargedCredits: 480 } });
    expect(await slow.books.ofUser(dave.userId)).toEqual(books);
  }, 60_000);
});

/** A model that says as many tokens as it is told to, when it is told to, and never comes to an end. */
async function startModelByHand() {
  const asked = Promise.withResolvers<ServerResponse>();
  const token = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 't' }, finish_reason: null }] })}\n\n`;
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    asked.resolve(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    write: async (tokens: number) => void (await asked.promise).write(token.repeat(tokens)),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
