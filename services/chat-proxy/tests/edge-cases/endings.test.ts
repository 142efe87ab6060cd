import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { ADAPTERS, askOf, names, resetFakes, startAsking, STREAM } from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';

const IDLE_MS = 600;
let proxy: Proxy;
let alice: Person;

beforeAll(async () => {
  const env = { UPSTREAM_FIRST_BYTE_TIMEOUT: '3s', UPSTREAM_IDLE_TIMEOUT: `${IDLE_MS}ms` };
  proxy = await startProxy({ env });
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  resetFakes(proxy);
  alice = await proxy.person();
});

const settled = () => until(() => proxy.accounting.openHolds() === 0);
const balance = () => proxy.accounting.balanceOf(alice.userId);

describe('an upstream', () => {
  it.each(ADAPTERS)(
    'case 33: that answers 200 and reports an error as its first event has failed before the first token (%s)',
    async (adapter) => {
      proxy[adapter].next({ errorEvent: { after: 0, message: 'zanzibar' } });
      const call = await startAsking(proxy, alice, adapter);
      expect([call.status, call.problem?.code]).toEqual([502, 'upstream_failed']);
      expect(JSON.stringify(call.problem)).not.toContain('zanzibar');
      await settled();
      expect([proxy.accounting.settlements, balance()]).toMatchObject([[{ kind: 'void' }], 1000]);
    },
  );

  it.each([
    ['openai', ['finish', 'done']],
    ['flowise', ['metadata', 'end']],
  ] as const)(
    'case 34: that closes without a finish ends in an error event, without [DONE], and the metered tokens are charged (%s)',
    async (adapter, omit) => {
      proxy[adapter].next({ tokens: 7, usage: 'absent', omit: [...omit] });
      const call = await (await startAsking(proxy, alice, adapter)).toEnd();
      expect(call.events.at(-1)).toMatchObject({ event: 'error', data: { code: 'upstream_interrupted' } });
      expect([names(call).includes('end'), JSON.stringify(call.events).includes('[DONE]')]).toEqual([false, false]);
      await settled();
      const metered = { kind: 'settle', outcome: 'failed', units: { output: 7 }, usageSource: 'estimated' };
      expect([proxy.accounting.settlements, balance()]).toMatchObject([[metered], 993]);
    },
  );

  it.each(ADAPTERS)(
    'case 37: that sends nothing but comments is silent: void before the first token, metered after it (%s)',
    async (adapter) => {
      proxy[adapter].next({ tokens: 5, hangAfter: 0, heartbeatMs: 50 }, { tokens: 5, hangAfter: 3, heartbeatMs: 50 });
      const before = await startAsking(proxy, alice, adapter);
      expect([before.status, before.problem?.code]).toEqual([504, 'upstream_timeout']);
      await settled();
      expect([proxy.accounting.settlements, balance()]).toMatchObject([[{ kind: 'void' }], 1000]);
      const after = await (await startAsking(proxy, alice, adapter)).toEnd();
      expect(after.events.at(-1)).toMatchObject({ event: 'error', data: { code: 'upstream_timeout' } });
      expect(names(after)).not.toContain('end');
      await settled();
      expect([proxy.accounting.settlements.at(-1), balance()]).toMatchObject([{ units: { output: 3 } }, 997]);
    },
  );
});

describe('a client that reads slowly', () => {
  const PIECE = 'x'.repeat(65_536);
  const PIECES = 500;
  /** What the buffers of four ends of sockets hold at most, and this process; far less is usual. */
  const MOST_AHEAD = 400;

  it.each(ADAPTERS)(
    'case 36: holds the upstream back, and its own time is not the upstream’s silence (%s)',
    async (adapter) => {
      // An agent flow repeats its whole answer in one event at the end, which is another story.
      const chatflowId = adapter === 'openai' ? 'model:priced' : proxy.flowise.chain.id;
      proxy.accounting.isPerToken = false;
      proxy[adapter].next({ tokens: Array.from({ length: PIECES }, () => PIECE) });
      const { body } = await request(proxy.url + STREAM, {
        method: 'POST',
        headers: { authorization: `Bearer ${alice.token}`, 'content-type': 'application/json' },
        body: JSON.stringify(askOf('Much', chatflowId)),
      });
      const sent = () => proxy[adapter].requests[0]?.tokensSent ?? 0;
      await unchanged(sent, 2 * IDLE_MS);
      expect([sent() < MOST_AHEAD, proxy.accounting.openHolds()]).toEqual([true, 1]);
      const text = await body.text();
      expect(text.slice(-500)).toContain('{"event":"end","data":"[DONE]"}');
      expect(text.length).toBeGreaterThan(PIECES * PIECE.length);
      await settled();
      expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'completed' }]);
    },
  );
});

describe('this process, when it was busy for longer than an upstream may be silent,', () => {
  it.each(ADAPTERS)('reads what came meanwhile before it speaks of silence (%s)', async (adapter) => {
    proxy[adapter].next({ tokens: 12, tokenDelayMs: 60 });
    const call = await startAsking(proxy, alice, adapter);
    await call.until('token', 3);
    const busyUntil = performance.now() + 2 * IDLE_MS;
    while (performance.now() < busyUntil);
    await call.toEnd();
    expect(call.events.at(-1)?.event).toBe('end');
  });
});

/** Resolves when a figure above 0 has not changed for so long. */
async function unchanged(figure: () => number, forMs: number): Promise<void> {
  let last = figure();
  let since = performance.now();
  await until(() => {
    if (figure() !== last || last === 0) [last, since] = [figure(), performance.now()];
    return performance.now() - since > forMs;
  });
}
