import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import { request } from 'undici';
import { askOf } from '../fixtures/asking.ts';
import { ask, callStream, type EventCall, resume } from '../fixtures/event-call.ts';
import { type Person, type Proxy, type Sibling, startProxy, until } from '../fixtures/proxy.ts';

let one: Proxy;
let two: Sibling;
let alice: Person;
const log: string[] = [];

beforeAll(async () => {
  one = await startProxy({
    log,
    env: {
      ANSWER_LISTEN_INTERVAL: '50ms',
      ANSWER_SHARE_INTERVAL: '50ms',
      UPSTREAM_IDLE_TIMEOUT: '5s',
    },
  });
  two = await one.sibling();
});
afterAll(async () => {
  await two.stop();
  await one.stop();
});
beforeEach(async () => {
  one.openai.reset();
  one.accounting.settlements.length = 0;
  alice = await one.person();
});

const MODEL = 'model:priced';
const silentAfter = (tokens: number) => askOf(directive({ tokens: 9, hangAfter: tokens }), MODEL);
const slow = askOf(directive({ tokens: 6, tokenDelayMs: 60 }), MODEL);
const short = (text: string) => askOf(text, MODEL);
const settled = () => until(() => one.accounting.openHolds() === 0);
const stop = async ({ url }: { url: string }, { token }: Person, requestId: string) =>
  (
    await request(`${url}/api/v1/chat/streams/${requestId}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
    })
  ).statusCode;
const outputOf = (call: EventCall) => Object(call.events.find(({ event }) => event === 'usage')?.data).output_tokens;

describe('a process that is ready', () => {
  it('is known to the others to live, so that nobody takes its places or its keys for those of the dead', async () => {
    const three = await one.sibling();
    const living = await one.db.collection('instances').countDocuments({ alive_until: { $gt: new Date() } });
    await three.stop();
    expect(living).toBe(3);
    expect(await one.db.collection('instances').countDocuments()).toBe(2);
  });
});

describe('stopping a running answer', () => {
  it.each(['here', 'by way of another process'])(
    '%s ends it cleanly, with its price, within a second',
    async (where) => {
      const call = await (await ask(one, alice, silentAfter(3))).until('token', 3);
      const began = performance.now();
      expect(await stop(where === 'here' ? one : two, alice, call.requestId)).toBe(200);
      await call.toEnd();
      // A second, and what a busy machine needs besides; left alone it would end after five.
      expect(performance.now() - began).toBeLessThan(3000);
      expect(call.names.slice(-3)).toEqual(['usage', 'abort', 'end']);
      await settled();
      expect(one.accounting.settlements).toMatchObject([
        { holdId: call.requestId, kind: 'settle', outcome: 'aborted' },
      ]);
      expect(one.accounting.balanceOf(alice.userId)).toBe(1000 - outputOf(call));
      expect(outputOf(call)).toBe(3);
    },
  );

  it("does not reach somebody else's, wherever it runs, nor one that is over", async () => {
    const bob = await one.person();
    const call = await (await ask(one, alice, silentAfter(2))).until('token', 2);
    expect(await Promise.all([one, two].map((door) => stop(door, bob, call.requestId)))).toEqual([404, 404]);
    expect(await stop(two, alice, call.requestId)).toBe(200);
    await call.toEnd();
    await settled();
    await until(async () => (await stop(one, alice, call.requestId)) === 404);
    expect(await stop(one, alice, randomUUID())).toBe(404);
  });
});

describe('leaving an answer in one piece that was asked for with a key', () => {
  it.each([
    ['/api/v1/chat/predict', (text: string) => askOf(text, MODEL)],
    [`/api/v1/prediction/${MODEL}`, (question: string) => ({ question })],
    ['/v1/chat/completions', (content: string) => ({ model: MODEL, messages: [{ role: 'user', content }] })],
  ])('is no failure of the service (%s)', async (path, bodyOf) => {
    log.length = 0;
    const left = new AbortController();
    const question = directive({ tokens: 3, hangAfter: 2 });
    const call = one.openai.calls();
    const asked = request(one.url + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${alice.token}`,
        'content-type': 'application/json',
        'idempotency-key': path,
        'x-keep-running': '1',
      },
      body: JSON.stringify(bodyOf(question)),
      signal: left.signal,
    }).catch(() => 'left');
    await one.openai.untilSent(call, 2);
    left.abort();
    expect(await asked).toBe('left');
    await settled();
    expect(log.filter((line) => line.includes('request failed'))).toEqual([]);
  });
});

describe('reading an answer again', () => {
  it('gives exactly the missing events, as often as it is asked for, and charges nothing', async () => {
    const call = await (await ask(one, alice, short('a b c d'))).toEnd();
    await settled();
    const balance = one.accounting.balanceOf(alice.userId);
    for (const after of [0, 2, 5]) {
      const again = await (await resume(one, alice, call.requestId, after)).toEnd();
      expect(again.events).toEqual(call.events.slice(after));
    }
    const bob = await one.person();
    expect((await resume(one, bob, call.requestId)).problem.code).toBe('not_found');
    expect((await resume(one, alice, call.requestId, -1)).status).toBe(400);
    expect(one.accounting.balanceOf(alice.userId)).toBe(balance);
  });

  it.each(['here', 'by way of another process'])(
    'goes on %s after a connection broke, when the client had asked for it: every event once',
    async (where) => {
      const call = await (await ask(one, alice, slow, { 'x-keep-running': '20' })).until('token', 2);
      call.hangUp();
      const door = where === 'here' ? one : two;
      const had = call.events.length;
      let rest = await resume(door, alice, call.requestId, had);
      // What was shared a moment ago may not be there yet.
      await until(async () => {
        if (rest.status === 404) rest = await resume(door, alice, call.requestId, had);
        return rest.status === 200;
      });
      await rest.toEnd();
      const all = [...call.events, ...rest.events];
      expect(all.map(({ id }) => Number(id))).toEqual(all.map((_, at) => at + 1));
      expect(all.map(({ event }) => event)).toEqual(['session_id', ...Array<string>(6).fill('token'), 'usage', 'end']);
      await settled();
      expect(one.accounting.settlements).toMatchObject([{ outcome: 'completed' }]);
      expect(one.openai.calls()).toBe(1);
    },
  );

  it('finds the answer ended with its client, when the client had asked for nothing', async () => {
    const call = await (await ask(one, alice, silentAfter(3))).until('token', 1);
    call.hangUp();
    await settled();
    const rest = await (await resume(one, alice, call.requestId, 4)).toEnd();
    expect(rest.names).toEqual(['usage', 'abort', 'end']);
    expect(one.accounting.balanceOf(alice.userId)).toBe(1000 - outputOf(rest));
  });
});

describe('an Idempotency-Key', () => {
  const keyed = (door: { url: string }, person: Person, question: string, key: string) =>
    ask(door, person, short(question), { 'idempotency-key': key });

  it('has one effect for 50 requests at once over two processes, and gives the answer again afterwards', async () => {
    const calls = await Promise.all(
      Array.from({ length: 50 }, async (_, at) => (await keyed(at % 2 ? one : two, alice, 'a b c', 'fifty')).toEnd()),
    );
    const answered = calls.filter(({ status }) => status === 200);
    expect(answered.length).toBeGreaterThanOrEqual(1);
    for (const refused of calls.filter(({ status }) => status !== 200)) {
      expect(refused).toMatchObject({ status: 409, problem: { code: 'idempotency_in_progress' } });
      expect(refused.headers['retry-after']).toBe('1');
    }
    for (const door of [one, two]) {
      const again = await (await keyed(door, alice, 'a b c', 'fifty')).toEnd();
      expect(again.headers['idempotency-replayed']).toBe('true');
      expect(again.text).toBe(answered[0]?.text);
    }
    await settled();
    expect(one.openai.calls()).toBe(1);
    expect(one.accounting.settlements).toHaveLength(1);
    expect(await one.db.collection('idempotency_keys').countDocuments({ _id: /fifty/ as never })).toBe(0);
  });

  it('stands for its request alone, and for its user alone', async () => {
    await (await keyed(one, alice, 'first', 'mine')).toEnd();
    expect(await keyed(two, alice, 'second', 'mine')).toMatchObject({
      status: 422,
      problem: { code: 'idempotency_key_reused' },
    });
    const bob = await one.person();
    expect((await (await keyed(two, bob, 'first', 'mine')).toEnd()).headers).not.toHaveProperty('idempotency-replayed');
    expect(one.openai.calls()).toBe(2);
  });

  it('that is no key is refused; one whose request was refused may be used again', async () => {
    expect((await keyed(one, alice, 'x', 'k'.repeat(256))).status).toBe(400);
    const poor = await one.person({ balance: 0 });
    expect((await keyed(one, poor, 'x', 'later')).status).toBe(402);
    one.accounting.balances.set(poor.userId, 1000);
    expect((await keyed(two, poor, 'x', 'later')).status).toBe(200);
  });

  it('gives an answer in one piece again, too', async () => {
    const predict = () =>
      request(`${one.url}/api/v1/chat/predict`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${alice.token}`,
          'content-type': 'application/json',
          'idempotency-key': 'whole',
        },
        body: JSON.stringify(short('one two')),
      });
    const first = (await (await predict()).body.json()) as { metadata: { usage: object } };
    const second = await predict();
    expect(second.headers['idempotency-replayed']).toBe('true');
    const { metadata } = first;
    const expected = { ...first, metadata: { ...metadata, usage: { ...metadata.usage, replayed: true } } };
    expect(await second.body.json()).toEqual(expected);
  });

  it('whose client hangs up waits for the repetition, which gets the whole answer', async () => {
    const call = await (await ask(one, alice, slow, { 'idempotency-key': 'broken' })).until('token', 1);
    call.hangUp();
    let again = await ask(two, alice, slow, { 'idempotency-key': 'broken' });
    await until(async () => {
      if (again.status === 409) again = await ask(two, alice, slow, { 'idempotency-key': 'broken' });
      return again.status === 200;
    });
    expect((await again.toEnd()).names).toEqual(['session_id', ...Array<string>(6).fill('token'), 'usage', 'end']);
    expect(one.openai.calls()).toBe(1);
  });
});

it('writes no answer down for a chatflow that stores nothing', async () => {
  const secret = `secret-${randomUUID()}`;
  await one.admin.call('PATCH', `/api/v1/admin/chatflows/${MODEL}`, { store: 'nothing' });
  const headers = { 'idempotency-key': 'quiet', 'x-keep-running': '5' };
  const call = await (await ask(one, alice, short(secret), headers)).toEnd();
  expect(call.text).toContain(secret);
  await settled();
  const again = await (await ask(one, alice, short(secret), headers)).toEnd();
  expect(again.text).toBe(call.text);
  const elsewhere = await callStream('GET', `${two.url}/api/v1/chat/streams/${call.requestId}`, alice);
  expect(elsewhere.status).toBe(404);
  const collections = await one.db.listCollections().toArray();
  for (const { name } of collections) {
    const rows = await one.db.collection(name).find().toArray();
    expect([name, JSON.stringify(rows).includes(secret)]).toEqual([name, false]);
  }
  await one.admin.call('PATCH', `/api/v1/admin/chatflows/${MODEL}`, { store: 'all' });
});
