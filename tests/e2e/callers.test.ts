import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callJson, type Person, type Platform, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
let alice: Person;
let bob: Person;
beforeAll(async () => {
  platform = await startPlatform();
  alice = await platform.user({ credits: 50 });
  bob = await platform.user({ credits: 50 });
}, 120_000);
afterAll(() => platform.stop());

const holdId = randomUUID();
const moneyCalls: [string, string, unknown][] = [
  ['hold', '/api/holds', { holdId, resource: { upstream: 'flowise', model: 'x' }, units: { request: 1 } }],
  ['renew', '/api/holds/renew', { holds: [{ holdId, fence: 1 }] }],
  ['extend', `/api/holds/${holdId}/extend`, { fence: 1, units: { request: 2 } }],
  ['settle', `/api/holds/${holdId}/settle`, { outcome: 'completed', units: {}, usageSource: 'flat' }],
  ['void', `/api/holds/${holdId}/void`, { reason: 'because' }],
  ['record usage', '/api/usage/record', { service: 'chat', operation: 'chat', credits: 0, metadata: {} }],
];

it.each(moneyCalls)("refuses a user's own token the call to %s", async (_name, path, body) => {
  const before = await platform.books.ofUser(alice.userId);
  const answer = await alice.accounting('POST', path, body);
  expect(answer).toMatchObject({ status: 403, body: { code: 'service_token_required' } });
  expect(await platform.books.ofUser(alice.userId)).toEqual(before);
});

describe('a refresh token', () => {
  it.each(['auth', 'chatProxy', 'accounting'] as const)('opens nothing on %s', async (service) => {
    const path = { auth: '/api/profile', chatProxy: '/api/v1/chat/sessions', accounting: '/api/credits/balance' }[
      service
    ];
    const answer = await callJson('GET', platform.urls[service] + path, { token: alice.refreshToken });
    expect(answer).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  });
});

it("keeps user B out of user A's conversation: no continuation, no history, no deletion, no charge", async () => {
  const first = await (
    await alice.chat({ question: 'My secret is plum', chatflow_id: platform.chatflows.chain })
  ).toEnd();
  const sessionId = String(first.data('session_id'));
  const calls = platform.flowise.calls();

  const intrusion = await bob.chat({
    question: 'What is my secret?',
    chatflow_id: platform.chatflows.chain,
    sessionId,
  });
  expect(intrusion.status).toBe(404);
  expect(platform.flowise.calls()).toBe(calls);
  expect(await bob.chatProxy('GET', `/api/v1/chat/sessions/${sessionId}/history`)).toMatchObject({ status: 404 });
  expect(await bob.chatProxy('DELETE', `/api/v1/chat/sessions/${sessionId}`)).toMatchObject({ status: 404 });
  expect(await bob.balance()).toBe(50);

  const again = await (
    await alice.chat({ question: 'What is my secret?', chatflow_id: platform.chatflows.chain, sessionId })
  ).toEnd();
  expect(again.status).toBe(200);
  const history = await alice.chatProxy<{ count: number }>('GET', `/api/v1/chat/sessions/${sessionId}/history`);
  expect(history.body.count).toBe(4);
});

it('answers a chatflow that the user was not given like one that does not exist, before any hold', async () => {
  const carol = await platform.user({ credits: 5, assign: false });
  for (const chatflow_id of [platform.chatflows.chain, randomUUID()]) {
    const refused = await carol.chat({ question: 'Hello', chatflow_id });
    expect(refused.problem).toMatchObject({ status: 403, code: 'chatflow_access_denied' });
  }
  expect(await platform.books.ofUser(carol.userId)).toMatchObject({ available: 5, held: 0, terminalHolds: 0 });
});
