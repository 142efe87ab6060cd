import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { callJson, Person, type Platform, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(() => platform.stop());

const newcomer = { username: 'carol', email: 'carol@example.test', password: 'a long walk at night' };

it('takes a newcomer from signup to a paid answer, and every place names the same charge', async () => {
  const { auth } = platform.urls;
  const signup = await callJson<{ userId: string }>('POST', `${auth}/api/auth/signup`, { body: newcomer });
  expect(signup.status).toBe(201);
  const carol = new Person({ ...newcomer, userId: signup.body.userId }, platform.urls);
  await expect(carol.logIn()).rejects.toThrow('401');

  const mail = await platform.mails.waitForMail(newcomer.email);
  const [code] = /\b[0-9a-f]{6}\b/.exec(mail.text) ?? [];
  expect(await callJson('POST', `${auth}/api/auth/verify-email`, { body: { token: code } })).toMatchObject({
    status: 200,
  });
  await carol.logIn();
  await platform.assignEverything(carol);

  const callsBefore = platform.flowise.calls();
  const refused = await carol.chat({ question: 'Is anybody there?', chatflow_id: platform.chatflows.chain });
  expect(refused.status).toBe(402);
  expect(refused.problem).toMatchObject({ code: 'insufficient_credits', status: 402 });
  expect(platform.flowise.calls()).toBe(callsBefore);

  expect(
    await platform.admin.accounting('POST', '/api/credits/allocate', { userId: carol.userId, credits: 100 }),
  ).toMatchObject({ status: 201 });
  const answer = await carol.chat({ question: 'Is anybody there?', chatflow_id: platform.chatflows.chain });
  expect(answer.status).toBe(200);
  await answer.toEnd();
  expect(answer.text).not.toBe('');
  expect(answer.events[0]).toMatchObject({ event: 'session_id', status: 'streaming_started' });
  expect(answer.events.at(-1)?.event).toBe('end');

  const usage = answer.data<{ credits: number; remaining_credits: number; request_id: string }>('usage');
  const charged = Number(usage?.credits);
  expect(charged).toBeGreaterThan(0);
  expect(usage?.remaining_credits).toBe(100 - charged);
  expect(await carol.balance()).toBe(100 - charged);
  expect(await platform.books.ofUser(carol.userId)).toEqual({
    available: 100 - charged,
    held: 0,
    openHolds: 0,
    terminalHolds: 1,
    charged,
  });

  const sessionId = String(answer.data('session_id'));
  const history = await carol.chatProxy<{ history: { role: string; content: string; credits?: number }[] }>(
    'GET',
    `/api/v1/chat/sessions/${sessionId}/history`,
  );
  expect(history.body.history.map(({ role }) => role)).toEqual(['user', 'assistant']);
  expect(history.body.history[1]).toMatchObject({ content: answer.text, credits: charged });
  const stats = await carol.accounting('GET', '/api/usage/stats');
  expect(stats.body).toMatchObject({ totalRecords: 1, totalCredits: charged });
  expect(await platform.books.sumOfAllEntries()).toBe(0);
});

it('gives an OpenAI-compatible model the same road, charged by the usage it reports', async () => {
  const dora = await platform.user({ credits: 1000 });
  const answer = await (await dora.chat({ question: 'Say something', chatflow_id: platform.chatflows.model })).toEnd();
  expect(answer.status).toBe(200);
  const usage = answer.data<{ credits: number; input_tokens: number; output_tokens: number; estimated: boolean }>(
    'usage',
  );
  const reported = platform.openai.requests.at(-1)?.usage;
  expect(usage).toMatchObject({ input_tokens: reported?.input, output_tokens: reported?.output, estimated: false });
  expect(await dora.balance()).toBe(1000 - Number(usage?.credits));
});

it('writes to somebody whose credits run low', async () => {
  const dave = await platform.user({ credits: 100 });
  const adjustment = { userId: dave.userId, adjustment: -85, notes: 'spent elsewhere' };
  expect(await platform.admin.accounting('PUT', '/api/credits/adjust', adjustment)).toMatchObject({ status: 200 });
  const mail = await platform.mails.waitForMail(
    dave.email,
    ({ subject }) => subject === 'Your credits are running low',
  );
  expect(mail.text).toContain('You have 15 credits left.');
});
