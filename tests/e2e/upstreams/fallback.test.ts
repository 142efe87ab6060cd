import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { type FakeOpenAi, Person, type Platform, startFakeOpenAi, startPlatform } from '@tollgate/test-kit';

// Two servers with one model each, at 1 and at 3 credits a token; `shared` is answered by the first, else by the second.

let platform: Platform;
let first: FakeOpenAi;
let second: FakeOpenAi;
const PRICES = { cheap: 1_000_000, dear: 3_000_000 };

beforeAll(async () => {
  [first, second] = await Promise.all([startFakeOpenAi({ apiKey: 'first-key' }), startFakeOpenAi()]);
  const common = { kind: 'openai', public: true, passHeaders: ['x-trace', 'accept-language'] };
  const timeouts = { firstByte: '400ms', idle: '2s' };
  const servers = [
    { ...common, name: 'first', baseUrl: first.url, models: ['cheap'], apiKey: '$FIRST_KEY', timeouts },
    { ...common, name: 'second', baseUrl: second.url, models: ['dear'], headers: { 'x-team': 'tollgate' } },
    // Nobody listens there.
    {
      ...common,
      name: 'gone',
      baseUrl: 'http://127.0.0.1:9',
      models: ['lost'],
      breaker: { failures: 2, pause: '10m' },
    },
  ];
  const [cheap, dear] = [
    { upstream: 'first', model: 'cheap' },
    { upstream: 'second', model: 'dear' },
  ];
  const routes = {
    shared: { targets: [cheap], fallbacks: [dear] },
    astray: { targets: [{ upstream: 'gone', model: 'lost' }], fallbacks: [dear] },
  };
  const UPSTREAMS = JSON.stringify({ servers, routes });
  platform = await startPlatform({ chatProxy: { UPSTREAMS, FIRST_KEY: 'first-key' } });
  for (const [model, output] of Object.entries(PRICES)) {
    const upstream = model === 'cheap' ? 'first' : 'second';
    await platform.admin.accounting('POST', '/api/pricing', { upstream, model, unitPrices: { output } });
  }
  await platform.admin.accounting('POST', '/api/pricing', { upstream: 'gone', model: 'lost', free: true });
}, 120_000);
beforeEach(() => {
  first.reset();
  second.reset();
});
afterAll(() => Promise.all([platform.stop(), first.stop(), second.stop()]));

const ask = async (person: Person, model = 'shared', question = 'Hi') =>
  (await person.chat({ question, chatflow_id: `model:${model}` })).toEnd();
const user = (credits = 10_000) => platform.user({ credits, assign: false });
/** One process of the service, where what it alone knows or hears is looked at: nginx would choose one, and is a hop itself. */
const oneOf = () => platform.chatProxy.instances[0] ?? '';
const calls = () => [first.calls(), second.calls()];

/** What usage was booked under, one row for each settled hold. */
const booked = ({ userId }: Person) =>
  platform.books.query('SELECT upstream, model, credits::int AS credits FROM usage_logs WHERE user_id = $1', [userId]);

it.each([
  ['refuses', { error: { status: 503 } }],
  ['is overrun', { error: { status: 429, retryAfterSeconds: 3 } }],
  ['does not answer in time', { hang: true }],
  ['answers 200 with an error in place of the first event', { errorEvent: { after: 0 } }],
])('when the first server %s, the second answers, at its own price: one hold, one charge', async (_, scenario) => {
  const alice = await user();
  first.next(scenario);
  second.next({ tokens: 5 });
  const chat = await ask(alice);
  expect([chat.status, chat.text, chat.data('usage')]).toMatchObject([200, 't1 t2 t3 t4 t5', { credits: 15 }]);
  expect(calls()).toEqual([1, 1]);
  // Both are told that it is one and the same question.
  const ids = [first, second].map(({ requests }) => requests[0]?.headers['idempotency-key']);
  expect(ids).toEqual([chat.events[0]?.request_id, chat.events[0]?.request_id]);
  expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({
    terminalHolds: 1,
    charged: 15,
    available: 9985,
  });
  expect(await booked(alice)).toMatchObject([{ upstream: 'second', model: 'dear', credits: 15 }]);
});

it.each([
  ['breaks off after its first token', { tokens: 5, cutAfter: 1 }, 200, 1],
  ['has sent a comment, and then nothing', { hangAfter: 0, heartbeatMs: 50 }, 504, 0],
  ['says that the request is wrong', { error: { status: 400 } }, 502, 0],
  ['refuses our key', { error: { status: 401 } }, 502, 0],
])('when the first server %s, nobody else is asked', async (_, scenario, status, charged) => {
  const alice = await user();
  first.next(scenario);
  const chat = await ask(alice);
  expect([chat.status, calls()]).toEqual([status, [1, 0]]);
  expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ terminalHolds: 1, charged });
});

it('passes on how long to wait when both are overrun, and charges nothing', async () => {
  const alice = await user();
  first.next({ error: { status: 503 } });
  second.next({ error: { status: 429, retryAfterSeconds: 7 } });
  const chat = await ask(alice);
  expect([chat.status, chat.problem?.code, chat.headers['retry-after']]).toEqual([429, 'rate_limited', '7']);
  expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ charged: 0, available: 10_000 });
});

it('does not ask the dearer server for somebody who cannot pay it', async () => {
  const alice = await user(300);
  first.next({ error: { status: 503 } });
  const chat = await ask(alice);
  expect([chat.status, chat.problem?.code, calls()]).toEqual([402, 'insufficient_credits', [1, 0]]);
  expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ terminalHolds: 1, charged: 0, available: 300 });
});

it('asks the dearer server for a shorter answer when that is what the balance pays for', async () => {
  const alice = await user(1200);
  first.next({ error: { status: 503 } });
  second.next({ tokens: 1000 });
  const chat = await ask(alice);
  expect([chat.status, chat.events[0]?.clamped_to]).toEqual([200, 400]);
  expect(second.requests[0]?.body).toMatchObject({ model: 'dear', max_tokens: 400 });
  expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ charged: 1200, available: 0 });
});

it('tells a server nothing of its client but what the operator has named', async () => {
  const alice = await user();
  const headers = {
    authorization: `Bearer ${alice.accessToken}`,
    'content-type': 'application/json',
    cookie: 'session=secret',
    'x-forwarded-for': '10.1.2.3',
    forwarded: 'for=10.1.2.3',
    'user-agent': 'curious/1.0',
    'idempotency-key': 'client-chosen-key',
    'x-request-id': 'client-chosen-request',
    'x-trace': 'abc',
    'accept-language': 'de',
    connection: 'keep-alive, x-trace',
  };
  const answered = Promise.withResolvers<number | undefined>();
  const url = `${oneOf()}/api/v1/chat/predict`;
  request(url, { method: 'POST', headers }, (response) =>
    response.resume().once('end', () => answered.resolve(response.statusCode)),
  ).end(JSON.stringify({ question: 'Hi', chatflow_id: 'model:cheap' }));
  expect(await answered.promise).toBe(200);
  const sent = first.requests[0]?.headers ?? {};
  expect(Object.keys(sent).toSorted()).toEqual([
    'accept',
    'accept-encoding',
    'accept-language',
    'authorization',
    'connection',
    'content-length',
    'content-type',
    'host',
    'idempotency-key',
    'x-request-id',
  ]);
  expect(sent).toMatchObject({ authorization: 'Bearer first-key', 'accept-language': 'de', connection: 'keep-alive' });
  expect(sent['x-request-id']).toBe(sent['idempotency-key']);
  expect(JSON.stringify(sent)).not.toMatch(/client-|secret|10\.1\.2\.3|curious/);
});

it('sends what the operator has set, and gives clients no header of the server but when to come back', async () => {
  const alice = await user();
  second.next({
    headers: { 'set-cookie': 'a=b', server: 'secret', 'x-upstream': 'secret', 'openai-organization': 'secret' },
  });
  const chat = await ask(alice, 'dear');
  expect(second.requests[0]?.headers).toMatchObject({ 'x-team': 'tollgate' });
  expect(second.requests[0]?.headers.authorization).toBeUndefined();
  expect(JSON.stringify(chat.headers)).not.toMatch(/secret|a=b/);
  second.next({
    error: { status: 429, retryAfterSeconds: 4 },
    headers: { 'x-ratelimit-reset': 'secret', server: 'secret' },
  });
  const refused = await ask(alice, 'dear');
  expect([refused.headers['retry-after'], JSON.stringify(refused.headers).includes('secret')]).toEqual(['4', false]);
});

it('follows no redirect', async () => {
  const alice = await user();
  second.next({ error: { status: 302 }, headers: { location: `${first.url}/chat/completions` } });
  expect([(await ask(alice, 'dear')).problem?.code, calls()]).toEqual(['upstream_failed', [0, 1]]);
});

it('asks another server for one that is not there, which is left alone when that happens twice in a row', async () => {
  const alice = await new Person(await user(), { ...platform.urls, chatProxy: oneOf() }).logIn();
  expect([(await ask(alice, 'astray')).status, second.calls()]).toEqual([200, 1]);
  const answers = [await ask(alice, 'lost'), await ask(alice, 'lost')];
  expect(answers.map(({ problem }) => problem?.code)).toEqual(['upstream_unavailable', 'upstream_unavailable']);
  expect(answers.map(({ status, headers }) => [status, headers['retry-after']])).toEqual([
    [502, undefined],
    [502, '600'],
  ]);
  const metrics = await (await fetch(`${oneOf()}/metrics`)).text();
  expect(metrics).toContain('tollgate_upstream_breaker{upstream="gone",service="chat-proxy"} 2');
  expect(metrics).toContain('tollgate_upstream_breaker{upstream="first",service="chat-proxy"} 0');
  expect(metrics).toMatch(/tollgate_upstream_paused_total\{upstream="gone",service="chat-proxy"\} 1/);
  // Where there is another one it is asked at once, and counts as the first: it is not asked again.
  second.next({ error: { status: 503 } });
  expect([(await ask(alice, 'astray')).status, second.calls()]).toEqual([502, 2]);
  expect((await ask(alice, 'astray')).status).toBe(200);
});
