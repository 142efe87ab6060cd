import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { callJson, directive, eventually, type Platform, startChat, startPlatform } from '@tollgate/test-kit';

// What a kill at each step of an answer leaves behind: tests/proof/kills.test.ts.

const RENEWED_SECONDS = 2;
let model: Awaited<ReturnType<typeof startModelByHand>>;
let platform: Platform;
let folder: string;
let failpoints: string;
beforeAll(async () => {
  model = await startModelByHand();
  folder = await mkdtemp(join(tmpdir(), 'tollgate-crashes-'));
  failpoints = join(folder, 'failpoints');
  // The journal is written at 256 tokens, and accounting hears of progress only by renewals: both are known to the test.
  const chatProxy = {
    OPENAI_BASE_URL: model.url,
    HOLD_RENEW_INTERVAL: `${RENEWED_SECONDS}s`,
    CHECKPOINT_INTERVAL: '60s',
    JOURNAL_LEASE: '3m',
  };
  const accounting = { FAILPOINTS: failpoints };
  platform = await startPlatform({ leaseSeconds: 3 * RENEWED_SECONDS, chatProxy, accounting });
}, 120_000);
afterAll(async () => {
  await platform.stop();
  await model.stop();
  await rm(folder, { recursive: true, force: true });
});

it.each(['before', 'after'] as const)(
  'charges an answer once whose key was revoked in the middle, when accounting is killed %s that',
  async (when) => {
    const erin = await platform.user({ credits: 1000 });
    const scopes = { name: 'ci', scopes: ['chat:use'], currentPassword: erin.password };
    const made = await erin.auth<{ apiKey: { id: string }; key: string }>('POST', '/api/api-keys', scopes);
    const chat = await startChat(`${platform.urls.chatProxy}/api/v1/chat/predict/stream`, made.body.key, {
      question: directive({ tokens: 400, hangAfter: 20 }),
      chatflow_id: platform.chatflows.chain,
    });
    await chat.until('token', 20);
    if (when === 'before') await platform.accounting.end('SIGKILL');
    expect((await erin.auth('DELETE', `/api/api-keys/${made.body.apiKey.id}`)).status).toBe(200);
    if (when === 'after') await platform.accounting.end('SIGKILL');
    await chat.toEnd();
    expect(chat.data('error')).toMatchObject({ code: 'key_revoked' });
    await platform.accounting.start();
    const books = await platform.untilCharged(erin.userId, 1);
    expect(books).toEqual({ available: 999, held: 0, openHolds: 0, terminalHolds: 1, charged: 1 });
    const { body } = await erin.accounting('GET', '/api/usage/stats');
    expect(body).toMatchObject({ totalRecords: 1, totalCredits: 1 });
    expect(await platform.books.sumOfAllEntries()).toBe(0);
  },
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
});

it('case 38: a proxy that is killed after its last checkpoint has its answer of 500 tokens settled at 480, the last checkpoint, and who comes second finds it final', async () => {
  const dave = await platform.user({ credits: 1000 });
  const asked = dave.chat({ question: 'Go on', chatflow_id: platform.chatflows.priced });
  await model.write(480);
  const chat = await asked;
  await chat.until('token', 480);
  await platform.untilCheckpoint(dave.userId, 480);
  // Right after a renewal, so that the next one comes too late.
  await model.write(20);
  await chat.until('token', 20);
  await platform.chatProxy.end('SIGKILL');
  await platform.chatProxy.start();
  const books = await platform.untilNoOpenHold(dave.userId);
  expect(books).toEqual({ available: 520, held: 0, openHolds: 0, terminalHolds: 1, charged: 480 });

  const holdId = String(chat.events[0]?.request_id);
  const second = await callJson('POST', `${platform.urls.accounting}/api/holds/${holdId}/settle`, {
    token: await platform.tokens.service('chat-proxy', 'accounting'),
    headers: { 'x-on-behalf-of': dave.userId },
    body: { outcome: 'recovered', units: { request: 1, output: 480 }, usageSource: 'checkpoint' },
  });
  expect(second).toMatchObject({ status: 200, body: { alreadyFinal: true, chargedCredits: 480 } });
  expect(await platform.books.ofUser(dave.userId)).toEqual(books);
});

it('keeps nothing of holds that were asked for together when the proxy was killed before it was answered', async () => {
  const users = await Promise.all(Array.from({ length: 12 }, () => platform.user({ credits: 10 })));
  const calls = platform.flowise.calls();
  await writeFile(failpoints, users.map(({ userId }) => `s1.after pause ${userId}`).join('\n'));
  const chats = users.map((user) => user.chat({ question: 'Hello', chatflow_id: platform.chatflows.chain }));
  const ends = Promise.allSettled(chats);
  await eventually(async () => {
    const states = await Promise.all(users.map(({ userId }) => platform.books.ofUser(userId)));
    return states.every(({ openHolds }) => openHolds === 1) || undefined;
  }, 'twelve holds');
  await platform.chatProxy.end('SIGKILL');
  await writeFile(failpoints, '');
  await ends;
  await platform.chatProxy.start();
  for (const { userId } of users)
    expect(await platform.untilNoOpenHold(userId)).toEqual({
      available: 10,
      held: 0,
      openHolds: 0,
      terminalHolds: 1,
      charged: 0,
    });
  expect(platform.flowise.calls()).toBe(calls);
  expect(await platform.books.sumOfAllEntries()).toBe(0);
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
