import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { accounting, auth, chat, KEY_SCOPES, type OperationSpec, PERMISSIONS } from '@tollgate/contracts';
import {
  callJson,
  directive,
  examplePath,
  type Person,
  type Platform,
  startChat,
  startPlatform,
} from '@tollgate/test-kit';

let platform: Platform;
/** Every key that was made here; none of them may be found in any log. */
const canaries: string[] = [];
beforeAll(async () => {
  const talkative = { LOG_LEVEL: 'debug' };
  platform = await startPlatform({ auth: talkative, accounting: talkative, chatProxy: talkative });
}, 120_000);
afterAll(() => platform.stop());

type Made = { apiKey: { id: string }; key: string };

async function make(
  owner: Person,
  scopes: readonly string[],
  more: object = {},
): Promise<{ id: string; text: string }> {
  const body = { name: 'ci', scopes, currentPassword: owner.password, ...more };
  const answer = await owner.auth<Made>('POST', '/api/api-keys', body);
  if (answer.status !== 201) throw new Error(`the key was refused: ${JSON.stringify(answer.body)}`);
  canaries.push(answer.body.key);
  return { id: answer.body.apiKey.id, text: answer.body.key };
}

/** One read on each service that a key with all scopes of an end user may do. */
const reads = () => [
  `${platform.urls.auth}/api/profile`,
  `${platform.urls.accounting}/api/credits/balance`,
  `${platform.urls.chatProxy}/api/v1/chatflows`,
  `${platform.urls.chatProxy}/api/v1/chat/credits`,
];
const USER_SCOPES = KEY_SCOPES.filter((scope) => (PERMISSIONS[scope] as readonly string[]).includes('enduser'));
const spellings = (key: string): Record<string, string>[] => [
  { authorization: `Bearer ${key}` },
  { 'x-api-key': key },
  { 'api-key': key },
];
const statusesOf = (headers: Record<string, string>) =>
  Promise.all(reads().map(async (url) => (await callJson('GET', url, { headers })).status));
const askWith = (key: string, tokens = 2) =>
  startChat(`${platform.urls.chatProxy}/api/v1/chat/predict/stream`, key, {
    question: directive({ tokens }),
    chatflow_id: platform.chatflows.priced,
  });

describe('a key', () => {
  it('gives the same answer through every header on all three services, and none in a query string', async () => {
    const alice = await platform.user({ credits: 1000 });
    const { text } = await make(alice, USER_SCOPES);
    for (const url of reads()) {
      const answers = await Promise.all(spellings(text).map((headers) => callJson('GET', url, { headers })));
      for (const answer of answers) expect(answer).toEqual({ status: 200, body: answers[0]?.body });
      expect(answers[0]?.body).toEqual((await callJson('GET', url, { token: alice.accessToken })).body);
      for (const name of ['api_key', 'apikey', 'key', 'access_token', 'token'])
        expect(await callJson('GET', `${url}?${name}=${text}`, { token: alice.accessToken })).toMatchObject({
          status: 400,
          body: { code: 'validation_failed' },
        });
      const two = { 'x-api-key': text, authorization: `Bearer ${alice.accessToken}` };
      expect((await callJson('GET', url, { headers: two })).status).toBe(400);
    }
    // As the OpenAI SDK sends it.
    const answer = await (await askWith(text)).toEnd();
    expect(answer.status).toBe(200);
    expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ charged: 2, available: 998 });
    const [use] = await platform.books.query<{ api_key_id: string }>(
      'SELECT api_key_id FROM usage_logs WHERE user_id = $1',
      [alice.userId],
    );
    expect(use?.api_key_id).toBe(text.split('_')[1]);
  });

  it('of an administrator opens nothing but what its scopes name, on any operation of any service', async () => {
    const { text } = await make(platform.admin, ['reports:read']);
    const operations = Object.entries({ auth, accounting, chatProxy: chat }).flatMap(([service, contract]) =>
      Object.values(contract as Record<string, unknown>)
        .filter((value): value is OperationSpec => typeof value === 'object' && value !== null && 'permission' in value)
        .map((operation) => ({ operation, url: platform.urls[service as keyof Platform['urls']] })),
    );
    const wrong: string[] = [];
    for (const { operation, url } of operations) {
      const { permission, method } = operation;
      const callers = PERMISSIONS[permission];
      if (callers === 'anyone' || permission === 'reports:read') continue;
      const answer = await callJson(method, url + examplePath(operation), { headers: { 'x-api-key': text } });
      const expected = callers === 'service' ? 'service_token_required' : 'insufficient_scope';
      // OpenAI's clients look for it one level deeper.
      const code: unknown = answer.body['code'] ?? Object(answer.body['error']).code;
      if (answer.status !== 403 || code !== expected) wrong.push(`${operation.id}: ${answer.status} ${String(code)}`);
    }
    expect(wrong).toEqual([]);
    const reports = await callJson('GET', `${platform.urls.auth}/api/admin/reports`, {
      headers: { 'x-api-key': text },
    });
    expect(reports.status).toBe(200);
  });

  it('that is disabled, deleted or rotated out is refused on all three services within 5 s, although it was warm', async () => {
    const alice = await platform.user({ credits: 10 });
    const path = (id: string) => `/api/api-keys/${id}`;
    const ends: ((id: string) => Promise<{ status: number }>)[] = [
      (id) => alice.auth('PATCH', path(id), { disabled: true }),
      (id) => alice.auth('DELETE', path(id)),
      (id) => alice.auth('POST', `${path(id)}/rotate`, { currentPassword: alice.password }),
      (id) => platform.admin.auth('DELETE', `/api/admin/users/${alice.userId}/api-keys/${id}`),
    ];
    for (const end of ends) {
      const { id, text } = await make(alice, USER_SCOPES);
      const headers = { 'x-api-key': text };
      expect(new Set(await statusesOf(headers))).toEqual(new Set([200]));
      expect((await end(id)).status).toBe(200);
      const ended = performance.now();
      while ((await statusesOf(headers)).some((status) => status !== 401));
      expect(performance.now() - ended).toBeLessThan(5000);
    }
  });

  it('whose owner loses a role loses the scopes of it within 5 s', async () => {
    const boss = await platform.user({ credits: 0, assign: false, role: 'supervisor' });
    const { text } = await make(boss, ['credits:read-own', 'credits:read-any']);
    const url = `${platform.urls.accounting}/api/credits/balance/${boss.userId}`;
    const status = async () => (await callJson('GET', url, { headers: { 'x-api-key': text } })).status;
    await boss.accounting('GET', '/api/credits/balance');
    expect(await status()).toBe(200);
    await platform.admin.auth('PUT', `/api/admin/users/${boss.userId}/role`, { role: 'enduser' });
    const demoted = performance.now();
    while ((await status()) !== 403);
    expect(performance.now() - demoted).toBeLessThan(5000);
  });

  it('is bound by its own limits, and its owner is not', async () => {
    const alice = await platform.user({ credits: 1000 });
    const { id, text } = await make(alice, USER_SCOPES, { limits: { credits: { amount: 300, window: 'never' } } });
    expect((await (await askWith(text, 50)).toEnd()).status).toBe(200);
    await platform.untilCharged(alice.userId, 50);
    // Less is left than the shortest answer worth beginning.
    expect((await askWith(text, 3)).problem).toMatchObject({ status: 402, code: 'budget_exceeded' });
    expect((await alice.auth('PATCH', `/api/api-keys/${id}`, { limits: { requestsPerMinute: 1 } })).status).toBe(200);
    // Fixed minutes: two of three requests are in the same one.
    const statuses: number[] = [];
    for (let ask = 0; ask < 3; ask += 1) statuses.push((await (await askWith(text)).toEnd()).status);
    expect(statuses).toContain(429);
    const own = await alice.chat({ question: directive({ tokens: 2 }), chatflow_id: platform.chatflows.priced });
    expect((await own.toEnd()).status).toBe(200);
    await platform.untilNoOpenHold(alice.userId);
  });

  it('that is revoked in the middle of an answer ends it, and what was produced is charged', async () => {
    const alice = await platform.user({ credits: 1000 });
    const { id, text } = await make(alice, USER_SCOPES);
    const answer = await startChat(`${platform.urls.chatProxy}/api/v1/chat/predict/stream/store`, text, {
      question: directive({ tokens: 400, hangAfter: 20 }),
      chatflow_id: platform.chatflows.priced,
    });
    await answer.until('token', 20);
    expect((await alice.auth('DELETE', `/api/api-keys/${id}`)).status).toBe(200);
    await answer.toEnd();
    expect(answer.data('error')).toMatchObject({ code: 'key_revoked' });
    expect(answer.events.some(({ data }) => data === '[DONE]')).toBe(false);
    expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ charged: 20, held: 0 });
  });
});

it('no key that was made, used or refused here stands in the log of any service', () => {
  expect(canaries.length).toBeGreaterThan(5);
  for (const service of [platform.auth, platform.accounting, platform.chatProxy]) {
    expect(service.log.length).toBeGreaterThan(0);
    for (const key of canaries) expect(service.log).not.toContain(key.slice(-20));
  }
});
