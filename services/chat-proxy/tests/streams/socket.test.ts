import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import { request } from 'undici';
import { askOf, STREAM } from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, tokens, until } from '../fixtures/proxy.ts';
import { SocketClient } from '../fixtures/socket-client.ts';

const PAGE = 'https://chat.example.test';
const MODEL = 'model:priced';

let proxy: Proxy;
let alice: Person;
const opened: SocketClient[] = [];

beforeAll(async () => {
  proxy = await startProxy({
    env: {
      ALLOWED_ORIGINS: PAGE,
      SOCKET_AUTH_TIMEOUT: '3s',
      SOCKET_ANSWERS: '3',
      SOCKETS_PER_USER: '2',
      CLIENT_STALL_TIMEOUT: '3s',
      UPSTREAM_IDLE_TIMEOUT: '5s',
    },
  });
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  proxy.openai.reset();
  proxy.accounting.settlements.length = 0;
  alice = await proxy.person({ balance: 1_000_000 });
});
afterEach(async () => {
  for (const { socket } of opened.splice(0)) socket.terminate();
  await settled();
});

async function open(options: Parameters<typeof SocketClient.open>[1] = {}): Promise<SocketClient> {
  const client = await SocketClient.open(proxy.url, options);
  opened.push(client);
  return client;
}
const openAs = ({ token }: Person) => open({ token });
const ask = (id: string, question: string, more: object = {}) => ({
  type: 'ask',
  id,
  question,
  chatflow_id: MODEL,
  ...more,
});
const endless = (id: string, more: object = {}) => ask(id, directive({ tokens: 9, hangAfter: 2 }), more);
/** The 1024 pieces that the model may give come to 20 MB, more than all buffers on the way together. */
const MUCH = Array.from({ length: 4000 }, () => 'x'.repeat(20_000));
const outputOf = (settlement: number) => proxy.accounting.settlements[settlement]?.units?.output;
const wire = () => connect(Number(new URL(proxy.url).port), '127.0.0.1');
const UPGRADE = 'HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const settled = () => until(() => proxy.accounting.openHolds() === 0);

describe('an answer over a WebSocket', () => {
  it('is the same as over the other routes: events by number, price, history', async () => {
    const client = await openAs(alice);
    client.send(ask('a', 'one two'));
    await client.untilDone('a');
    expect(client.said[0]).toMatchObject({ type: 'ready' });
    expect(client.socket.protocol).toBe('tollgate.v1');
    expect(client.names('a')).toEqual(['session_id', 'token', 'token', 'token', 'usage', 'end']);
    const numbers = client.said.flatMap(({ event_id }) => event_id ?? []);
    expect(numbers).toEqual(numbers.map((_, at) => at + 1));
    await settled();
    expect(proxy.accounting.settlements).toMatchObject([{ outcome: 'completed', holdId: client.requestId('a') }]);
    expect((await alice.call('GET', '/api/v1/chat/sessions')).body).toMatchObject({ count: 1 });
  });

  it('goes beside others, up to the bound, each under its own name', async () => {
    const client = await openAs(alice);
    for (const id of ['a', 'b', 'c']) client.send(endless(id));
    for (const id of ['a', 'b', 'c']) await client.untilTokens(id, 2);
    client.send(endless('d'));
    client.send(endless('a'));
    await client.until(() => client.problemOf('d') === 'parallel_limit' && client.problemOf('a') === 'conflict');
    expect(proxy.openai.calls()).toBe(3);
  });

  it('that is refused says so by name, and the socket goes on', async () => {
    const poor = await proxy.person({ balance: 0 });
    const client = await openAs(poor);
    client.send(ask('a', 'hello'));
    client.send(ask('b', 'hello', { chatflow_id: 'nobody-has-this' }));
    client.send(ask('c', ''));
    await client.until(() => client.said.filter(({ type }) => type === 'error').length === 3);
    client.send({ type: 'ask', id: 'd', question: 'x', chatflow_id: MODEL, unknown: 1 });
    client.send('no json');
    await client.until(() => client.said.filter(({ type }) => type === 'error').length === 5);
    const codes = ['a', 'b', 'c', 'd', undefined].map((id) => client.problemOf(id));
    expect(codes).toEqual([
      'insufficient_credits',
      'chatflow_access_denied',
      'validation_failed',
      'validation_failed',
      'malformed_json',
    ]);
    expect(client.closed).toBeUndefined();
  });

  it.each([
    ['nested without end', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['after a prototype', '{"__proto__":{"a":1}}'],
  ])('is not begun by a message %s, as by no such body', async (_what, overrideConfig) => {
    const client = await openAs(alice);
    client.send(`{"type":"ask","id":"a","question":"x","chatflow_id":"${MODEL}","overrideConfig":${overrideConfig}}`);
    await client.until(() => client.problemOf() === 'malformed_json');
    expect(proxy.openai.calls()).toBe(0);
  });

  it('is stopped by its request id, and ends cleanly', async () => {
    const client = await openAs(alice);
    client.send(endless('a'));
    await client.untilTokens('a', 2);
    client.send({ type: 'stop', request_id: client.requestId('a') });
    await client.untilDone('a');
    expect(client.names('a').slice(-3)).toEqual(['usage', 'abort', 'end']);
  });

  it('ends with its socket and is settled; one that was to go on is read on another socket', async () => {
    const first = await openAs(alice);
    first.send(endless('a'));
    first.send(ask('b', directive({ tokens: 4, tokenDelayMs: 60 }), { keep_running: 20 }));
    await first.untilTokens('a', 2);
    await first.untilTokens('b', 1);
    const [requestId, had] = [first.requestId('b'), first.names('b').length];
    first.socket.terminate();
    const second = await openAs(alice);
    second.send({ type: 'resume', id: 'b', request_id: requestId, last_event_id: had });
    await second.untilDone('b');
    expect([...first.names('b'), ...second.names('b')]).toEqual([
      'session_id',
      ...Array<string>(4).fill('token'),
      'usage',
      'end',
    ]);
    await settled();
    expect(new Set(proxy.accounting.settlements.map((each) => each.outcome))).toEqual(
      new Set(['aborted', 'completed']),
    );
  });

  it('whose client reads nothing is ended, and nothing of it piles up', async () => {
    const client = await openAs(alice);
    proxy.openai.next({ tokens: MUCH });
    client.socket.pause();
    client.send(ask('a', 'much'));
    await until(() => proxy.accounting.settlements.length === 1);
    expect(proxy.accounting.settlements).toMatchObject([{ outcome: 'aborted' }]);
    expect(outputOf(0)).toBeLessThan(MUCH.length / 2);
  });

  it('and the same over a stream', async () => {
    proxy.openai.next({ tokens: MUCH });
    const { body } = await request(proxy.url + STREAM, {
      method: 'POST',
      headers: { authorization: `Bearer ${alice.token}`, 'content-type': 'application/json' },
      body: JSON.stringify(askOf('much', MODEL)),
    });
    body.on('error', () => undefined);
    await until(() => proxy.accounting.settlements.length === 1);
    expect(proxy.accounting.settlements).toMatchObject([{ outcome: 'aborted' }]);
    expect(outputOf(0)).toBeLessThan(MUCH.length / 2);
    body.destroy();
  });
});

describe('who may use a WebSocket', () => {
  it('is told by the first message as well as by a subprotocol; the token is never sent back', async () => {
    const client = await open();
    client.send({ type: 'auth', token: alice.token });
    client.send(ask('a', 'at once'));
    await client.untilDone('a');
    expect(JSON.stringify(client.said)).not.toContain(alice.token);
    expect(client.socket.protocol).toBe('tollgate.v1');
  });

  it.each([
    ['says nothing for too long', () => undefined],
    ['asks before anything else', (client: SocketClient) => client.send(ask('a', 'hello'))],
    ['has a token that is none', (client: SocketClient) => client.send({ type: 'auth', token: 'a.b.c' })],
  ])('is nobody who %s', async (_what, act) => {
    const client = await open();
    act(client);
    await client.untilClosed();
    expect(client.closed?.code).toBe(4401);
    expect(proxy.openai.calls()).toBe(0);
  });

  it('is nobody who sends much before a token', async () => {
    const client = await open();
    client.send({ type: 'auth', token: 'x'.repeat(100_000) });
    await client.untilClosed();
    expect([1006, 1008]).toContain(client.closed?.code);
  });

  it('is no page of another origin, and no token stands in the address', async () => {
    const { token } = alice;
    expect((await open({ token, headers: { origin: 'https://evil.example.test' } })).refused).toBe(403);
    expect((await open({ token, path: `/api/v1/chat/ws?token=${token}` })).refused).toBe(400);
    for (const origin of [PAGE, proxy.url]) {
      const client = await open({ token: (await proxy.person()).token, headers: { origin } });
      await client.until(() => client.said.length > 0);
      expect(client.said[0]).toMatchObject({ type: 'ready' });
    }
  });

  it('has a bounded number of them', async () => {
    const clients = [await openAs(alice), await openAs(alice)];
    for (const client of clients) await client.until(() => client.said.length > 0);
    const third = await openAs(alice);
    await third.untilClosed();
    expect(third.closed?.code).toBe(4429);
  });

  it('is asked again when the token expires; with a new one of the same user the socket goes on', async () => {
    const { userId } = alice;
    const almostOver = await tokens.access({ userId, clock: { now: () => Date.now() - 898_500 } });
    const [one, other] = [await open({ token: almostOver }), await open({ token: almostOver })];
    other.send({ type: 'auth', token: alice.token });
    await one.untilClosed();
    expect(one.closed).toMatchObject({ code: 4401, reason: 'the token has expired' });
    other.send(ask('a', 'still here'));
    await other.untilDone('a');
    other.send({ type: 'auth', token: (await proxy.person()).token });
    await other.untilClosed();
    expect(other.closed?.code).toBe(4401);
  });

  it('is nobody any more whose token was revoked: the answer is settled, the socket ends', async () => {
    const client = await openAs(alice);
    client.send(endless('a'));
    await client.untilTokens('a', 2);
    proxy.auth.revocations.push({
      kind: 'user',
      id: `user:${alice.userId}:2`,
      userId: alice.userId as never, // ids of users are branded
      minVersion: 2,
      madeAt: Date.now() + 1000,
      reason: 'account-disabled',
    });
    await client.untilClosed();
    expect(client.closed?.code).toBe(4401);
    expect(client.problemOf()).toBe('account_disabled');
    await settled();
    expect(proxy.accounting.settlements).toMatchObject([{ units: { output: 2 } }]);
  });
});

describe('a request that is no WebSocket', () => {
  it('is told to be one; a wish for another protocol is passed over', async () => {
    const plain = await request(`${proxy.url}/api/v1/chat/ws`);
    expect([plain.statusCode, plain.headers['upgrade']]).toEqual([426, 'websocket']);
    await plain.body.dump();
    const socket = wire();
    socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  it('cannot become one by anything but a GET: its connection stays one of HTTP', async () => {
    const socket = wire();
    const answered = async (): Promise<string> => String(((await once(socket, 'data')) as [Buffer])[0]);
    socket.write(`POST /api/v1/chat/ws ${UPGRADE}`);
    expect(await answered()).toMatch(/^HTTP\/1\.1 405 /);
    socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await answered()).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  it('ends its connection with its answer when it is refused on the way', async () => {
    const socket = wire();
    socket.write(`GET /api/v1/chat/ws?api_key=tg_0123456789abcdef_x ${UPGRADE}`);
    const [answer] = await Promise.all([once(socket, 'data'), once(socket, 'close')]);
    expect(String(answer[0])).toMatch(/^HTTP\/1\.1 400 /);
  });
});

it('ends with 1001 when the service stops: at once without an answer, and after the last one', async () => {
  const sibling = await proxy.sibling();
  const idle = await SocketClient.open(sibling.url, { token: alice.token });
  const busy = await SocketClient.open(sibling.url, { token: alice.token });
  busy.send(ask('a', directive({ tokens: 3, tokenDelayMs: 40 })));
  await busy.untilTokens('a', 1);
  await idle.until(() => idle.said.length > 0);
  sibling.deps.draining();
  await idle.untilClosed();
  await busy.untilClosed();
  expect([idle.closed?.code, busy.closed?.code]).toEqual([1001, 1001]);
  expect(busy.names('a').at(-1)).toBe('end');
  await sibling.stop();
});
