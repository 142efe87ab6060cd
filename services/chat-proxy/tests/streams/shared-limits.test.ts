import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import { askOf } from '../fixtures/asking.ts';
import { ask, type EventCall } from '../fixtures/event-call.ts';
import { type Person, type Proxy, type Sibling, startProxy, until } from '../fixtures/proxy.ts';

let one: Proxy;
let two: Sibling;
let alice: Person;

beforeAll(async () => {
  one = await startProxy({
    env: {
      ANSWER_LISTEN_INTERVAL: '50ms',
      UPSTREAM_IDLE_TIMEOUT: '5s',
      REQUESTS_PER_MINUTE_PER_USER: '120',
      PARALLEL_ANSWERS_PER_USER: '3',
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
const short = (text: string) => askOf(text, MODEL);
const silentAfter = (tokens: number) => askOf(directive({ tokens: 9, hangAfter: tokens }), MODEL);
const settled = () => until(() => one.accounting.openHolds() === 0);

describe('limits that all processes share', () => {
  /** A request that costs nothing but its place in the count: nobody has this chatflow. */
  const knock = (door: { url: string }, person: Person) => ask(door, person, askOf('Anybody?', randomUUID()));

  async function knockTogether(times: number): Promise<EventCall[]> {
    const minute = Math.floor(Date.now() / 60_000);
    const person = await one.person();
    const calls = await Promise.all(Array.from({ length: times }, (_, at) => knock(at % 2 ? one : two, person)));
    // A window that began in between would count anew.
    return Math.floor(Date.now() / 60_000) === minute ? calls : knockTogether(times);
  }

  it('let as many requests through as a minute may have, within 5 %, and say what is left', async () => {
    const calls = await knockTogether(200);
    const through = calls.filter(({ status }) => status === 403);
    expect(through.length).toBeGreaterThanOrEqual(114);
    expect(through.length).toBeLessThanOrEqual(126);
    const refused = calls.find(({ status }) => status === 429);
    expect(refused?.problem).toMatchObject({
      code: 'rate_limited',
      type: expect.stringMatching(/quota-exceeded$/),
      'violated-policies': ['requests-per-user'],
    });
    expect(refused?.headers['ratelimit-policy']).toBe('"requests-per-user";q=120;w=60');
    expect(refused?.headers['ratelimit']).toMatch(/^"requests-per-user";r=0;t=\d+$/);
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('stand in the headers of a stream', async () => {
    const call = await (await ask(one, alice, short('hello'))).toEnd();
    expect(call.headers['ratelimit']).toMatch(/^"requests-per-user";r=1\d\d;t=\d+$/);
  });

  it('give no more places than there are to 20 answers at once, and each place back', async () => {
    alice = await one.person({ balance: 1_000_000 });
    const calls = await Promise.all(
      Array.from({ length: 20 }, (_, at) => ask(at % 2 ? one : two, alice, silentAfter(1))),
    );
    const running = calls.filter(({ status }) => status === 200);
    expect(running).toHaveLength(3);
    for (const refused of calls.filter(({ status }) => status !== 200))
      expect(refused).toMatchObject({ status: 429, problem: { code: 'parallel_limit' } });
    for (const call of running) (await call.until('token')).hangUp();
    await settled();
    await until(async () => {
      const slots = await one.db.collection('answer_slots').findOne({ _id: `user:${alice.userId}` as never });
      return slots?.['slots'].length === 0;
    });
    // Who was refused has paid nothing, and the places are free again.
    const charged = one.accounting.settlements.filter(({ kind }) => kind === 'settle');
    expect(charged.map(({ holdId }) => holdId).sort()).toEqual(running.map(({ requestId }) => requestId).sort());
    expect((await (await ask(two, alice, short('free again'))).toEnd()).names.at(-1)).toBe('end');
  });

  it('free the places of a process that died', async () => {
    const slots = Array.from({ length: 3 }, () => ({ id: randomUUID(), instance: 'dead', at: new Date() }));
    await one.db
      .collection('answer_slots')
      .insertOne({ _id: `user:${alice.userId}` as never, slots, expires_at: new Date(Date.now() + 60_000) });
    expect((await (await ask(one, alice, short('hello'))).toEnd()).names.at(-1)).toBe('end');
  });

  it('of a chatflow count everybody, and take nothing from who is refused', async () => {
    await one.admin.call('PATCH', `/api/v1/admin/chatflows/${MODEL}`, { requests_per_minute: 2 });
    const people = await Promise.all(Array.from({ length: 4 }, () => one.person()));
    const calls = await Promise.all(people.map(async (person) => (await ask(one, person, short('hello'))).toEnd()));
    expect(calls.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(2);
    const [refused] = calls.filter(({ status }) => status === 429);
    expect(refused?.problem).toMatchObject({ 'violated-policies': ['requests-per-chatflow'] });
    await one.admin.call('PATCH', `/api/v1/admin/chatflows/${MODEL}`, { requests_per_minute: null });
  });
});
