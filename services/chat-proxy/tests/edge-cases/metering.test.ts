import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Adapter, ADAPTERS, names, resetFakes, startAsking } from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';

let proxy: Proxy;
let alice: Person;

beforeAll(async () => {
  proxy = await startProxy();
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  resetFakes(proxy);
  alice = await proxy.person();
});

/** A whole answer and what was settled for it. */
async function answerOf(adapter: Adapter, person = alice) {
  const call = await (await startAsking(proxy, person, adapter)).toEnd();
  await until(() => proxy.accounting.openHolds() === 0);
  return { call, settlement: proxy.accounting.settlements.at(-1), paid: paidBy(person) };
}

const paidBy = ({ userId }: Person) => {
  const [entry] = proxy.accounting.holds().filter((one) => one.userId === userId);
  return { charged: entry?.closed?.chargedCredits, held: entry?.hold.heldCredits };
};

describe('an upstream that ignores max_tokens', () => {
  it.each(ADAPTERS)(
    'case 28: is cut where a hold that cannot grow ends, or paid from a larger one; never beyond (%s)',
    async (adapter) => {
      const [bob, carol] = [await proxy.person({ balance: 300 }), await proxy.person({ balance: 5000 })];
      proxy[adapter].next({ tokens: 400, ignoreMaxTokens: true }, { tokens: 2000, ignoreMaxTokens: true });
      const short = await answerOf(adapter, bob);
      expect(short.call.events.at(-1)).toMatchObject({ event: 'error', data: { code: 'insufficient_credits' } });
      expect([names(short.call).includes('end'), short.paid]).toEqual([false, { charged: 300, held: 300 }]);
      const long = await answerOf(adapter, carol);
      expect([names(long.call).at(-1), long.paid.charged]).toEqual(['end', 2000]);
      expect(long.paid.held).toBeGreaterThanOrEqual(2000);
      expect(proxy.accounting.balanceOf(carol.userId)).toBe(3000);
    },
  );
});

describe('usage as the upstream reports it', () => {
  it.each(ADAPTERS)('case 30: of an explicit zero costs nothing and is no estimate (%s)', async (adapter) => {
    proxy[adapter].next({ tokens: 4, usage: 'zero' });
    const { call, settlement, paid } = await answerOf(adapter);
    expect(call.data('usage')).toMatchObject({ credits: 0, input_tokens: 0, output_tokens: 0, estimated: false });
    expect(settlement).toMatchObject({ kind: 'settle', units: { input: 0, output: 0 }, usageSource: 'provider' });
    expect([paid.charged, proxy.accounting.balanceOf(alice.userId)]).toEqual([0, 1000]);
  });

  it('case 31: in a chunk whose choices are not empty is used', async () => {
    proxy.openai.next({ tokens: 4, usage: 'with-choices' });
    const { call, settlement, paid } = await answerOf('openai');
    expect(call.data('usage')).toMatchObject({ credits: 4, estimated: false });
    expect([settlement?.usageSource, settlement?.units?.output, paid.charged]).toEqual(['provider', 4, 4]);
  });

  it.each(ADAPTERS)('case 32: as running totals counts the last one, never their sum (%s)', async (adapter) => {
    proxy[adapter].next({ tokens: 8, usage: 'running' });
    const { call, settlement, paid } = await answerOf(adapter);
    expect(call.data('usage')).toMatchObject({ credits: 8, output_tokens: 8, estimated: false });
    expect([settlement?.usageSource, settlement?.units?.output, paid.charged]).toEqual(['provider', 8, 8]);
  });
});
