import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock, startChat } from '@tollgate/test-kit';
import { Reply } from '../../src/domain/reply.ts';
import type { UserId } from '../../src/domain/wire-types.ts';
import { createStrikes, isStrike } from '../../src/flows/answers/count-strikes.ts';
import { askOf, STORE } from '../fixtures/asking.ts';
import { ALICE, BOB, holdId } from '../fixtures/doubles.ts';
import { type Proxy, startProxy, until } from '../fixtures/proxy.ts';

const WINDOW_MS = 600_000;

/** Instances of the service that count in one place. */
function instances(count: number, limit: number) {
  const sums = new Map<string, number>();
  const clock = manualClock();
  const told: string[] = [];
  const counts = {
    isAway: false,
    async add(userId: UserId, end: Date) {
      if (counts.isAway) throw new Error('away');
      const key = `${userId} ${end.getTime()}`;
      sums.set(key, (sums.get(key) ?? 0) + 1);
      return sums.get(key) ?? 0;
    },
  };
  const tell = (name: string) => void told.push(name);
  const all = Array.from({ length: count }, () => createStrikes({ counts, clock, tell, limit, windowMs: WINDOW_MS }));
  return { all, clock, counts, told };
}
const leave = (userId: UserId) => ({ userId, holdId: holdId() });

describe('leaving before the first token', () => {
  it('is refused when it has happened too often, until the window ends, and nobody else is', async () => {
    const { all, clock } = instances(1, 3);
    const [strikes] = all;
    for (let at = 0; at < 3; at += 1) {
      expect(() => strikes?.refuse(ALICE)).not.toThrow();
      await strikes?.add(leave(ALICE));
    }
    expect(() => strikes?.refuse(ALICE)).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        headers: expect.objectContaining({ 'retry-after': expect.stringMatching(/^\d+$/) }),
      }),
    );
    expect(() => strikes?.refuse(BOB)).not.toThrow();
    clock.advance(WINDOW_MS);
    expect(() => strikes?.refuse(ALICE)).not.toThrow();
  });

  it('is counted for all instances together: each of them lets at most one more through', async () => {
    const { all } = instances(3, 5);
    let left = 0;
    for (let at = 0; at < 30; at += 1) {
      const strikes = all[at % 3];
      try {
        strikes?.refuse(ALICE);
        await strikes?.add(leave(ALICE));
        left += 1;
      } catch {
        continue;
      }
    }
    expect(left).toBeLessThanOrEqual(5 + 2);
  });

  it('is not counted, and stops nobody, while the database is away or the limit is 0', async () => {
    const { all, counts, told } = instances(1, 1);
    counts.isAway = true;
    await all[0]?.add(leave(ALICE));
    expect([told, () => all[0]?.refuse(ALICE)]).toEqual([['background_failed'], expect.any(Function)]);
    expect(() => all[0]?.refuse(ALICE)).not.toThrow();
    const none = instances(1, 0);
    await none.all[0]?.add(leave(ALICE));
    expect(none.told).toEqual([]);
  });
});

it('leaving is free, and counted, as long as a flow has told of its nodes alone; from the first word on it is paid', () => {
  const reply = new Reply({ promptBytes: 0, keeps: false });
  expect(isStrike(reply)).toBe(true);
  reply.add({ kind: 'event', event: { event: 'agentReasoning', data: [] } });
  expect(isStrike(reply)).toBe(true);
  reply.add({ kind: 'text', text: 'A' });
  expect(isStrike(reply)).toBe(false);
  expect(isStrike({ status: 'failed', hasOutput: false })).toBe(false);
});

describe('on a running proxy', () => {
  let proxy: Proxy;
  beforeAll(async () => {
    proxy = await startProxy({ env: { DISCONNECT_STRIKES: '3', UPSTREAM_FIRST_BYTE_TIMEOUT: '20s' } });
  });
  afterAll(() => proxy.stop());

  it('50 at once are counted one by one, and then the user waits, at no cost', async () => {
    const alice = await proxy.person({ balance: 100_000 });
    const ask = (signal?: AbortSignal) =>
      startChat(proxy.url + STORE, alice.token, askOf('Hello', 'model:priced'), signal);
    proxy.openai.setScenario({ hang: true });
    const leaving = new AbortController();
    const chats = Array.from({ length: 50 }, () => ask(leaving.signal).catch(() => undefined));
    await until(() => proxy.openai.calls() === 50);
    leaving.abort();
    await Promise.all(chats);
    await until(() => proxy.accounting.openHolds() === 0);
    const row = () => proxy.db.collection<{ count: number }>('strikes').findOne({});
    await until(async () => (await row())?.count === 50);
    expect(await proxy.db.collection('strikes').countDocuments()).toBe(1);

    proxy.openai.setScenario({});
    const refused = await ask();
    expect(refused.status).toBe(429);
    expect(refused.problem).toMatchObject({ code: 'rate_limited', 'violated-policies': ['disconnects'] });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(proxy.openai.calls()).toBe(50);
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(100_000);
    const bob = await proxy.person();
    expect((await (await startChat(proxy.url + STORE, bob.token, askOf('Hi', 'model:priced'))).toEnd()).status).toBe(
      200,
    );
  });
});
