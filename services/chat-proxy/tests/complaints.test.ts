import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startChat } from '@tollgate/test-kit';
import {
  type Adapter,
  ADAPTERS,
  askOf,
  chatflowIdOf,
  names,
  resetFakes,
  startAsking,
  STORE,
  untilUpstreamStopped,
} from './fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from './fixtures/proxy.ts';

// What users of other platforms complain about most, as far as a chat proxy can be the cause; an answer costs a credit for
// each token here, so that a charge counts tokens.

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

const settled = () => until(() => proxy.accounting.openHolds() === 0);
const charged = () => 1000 - proxy.accounting.balanceOf(alice.userId);

/** A client that has seen so many tokens of an answer and leaves; what it pays then. */
async function chargeOfCut(adapter: Adapter, tokens: number, seen: number): Promise<number> {
  proxy[adapter].next({ tokens, hangAfter: seen, usage: 'absent' });
  const call = await startAsking(proxy, alice, adapter);
  await call.until('token', seen);
  call.hangUp();
  await untilUpstreamStopped(proxy, adapter);
  await settled();
  return charged();
}

describe('a stream that is cut', () => {
  it.each(ADAPTERS)('complaint 5: one chunk before its end costs the tokens emitted so far (%s)', async (adapter) => {
    expect(await chargeOfCut(adapter, 40, 39)).toBe(39);
  });

  it.each(ADAPTERS)('complaint 7: after 806 pieces is charged as 806, not as 1 (%s)', async (adapter) => {
    expect(await chargeOfCut(adapter, 900, 806)).toBe(806);
    expect(proxy.accounting.settlements).toMatchObject([
      { kind: 'settle', outcome: 'aborted', units: { output: 806 } },
    ]);
  });
});

describe('an answer that never begins', () => {
  it.each(ADAPTERS)('complaint 6: costs nothing, whoever is to blame, and the reason is kept (%s)', async (adapter) => {
    proxy[adapter].next(
      { error: { status: 500, message: 'a long sentence of the upstream about its own trouble' } },
      { errorEvent: { after: 0, message: 'and another one' } },
      { hang: true },
      { firstTokenDelayMs: 20_000 },
    );
    for (const status of [502, 502, 504]) expect((await startAsking(proxy, alice, adapter)).status).toBe(status);
    const leaving = new AbortController();
    const ask = askOf('Wait', chatflowIdOf(proxy, adapter));
    const left = startChat(proxy.url + STORE, alice.token, ask, leaving.signal);
    await proxy[adapter].untilCall(3);
    leaving.abort();
    await expect(left).rejects.toThrow();
    await until(() => proxy.accounting.settlements.length === 4);
    expect(proxy.accounting.settlements.map(({ kind, reason }) => [kind, reason])).toEqual([
      ['void', 'failed before the first token'],
      ['void', 'failed before the first token'],
      ['void', 'failed before the first token'],
      ['void', 'aborted before the first token'],
    ]);
    expect(charged()).toBe(0);
  });
});

describe('usage', () => {
  it.each(ADAPTERS)('complaint 8: of a prompt is settled alike, streamed and not streamed (%s)', async (adapter) => {
    const ask = askOf('one two three four', chatflowIdOf(proxy, adapter));
    const streamed = await (await startChat(proxy.url + STORE, alice.token, ask)).toEnd();
    const whole = await alice.call<{ metadata: { cost: number } }>('POST', '/api/v1/chat/predict', ask);
    await settled();
    // The units are also what limits of tokens per minute count.
    const [one, other] = proxy.accounting.settlements;
    expect(one?.units?.output).toBeGreaterThan(0);
    expect([one?.units, one?.usageSource]).toEqual([other?.units, other?.usageSource]);
    const cost = Number(streamed.data<{ credits: number }>('usage')?.credits);
    expect([cost, whole.body.metadata.cost, charged()]).toEqual([one?.units?.output, cost, 2 * cost]);
  });

  it('complaint 9: that nobody asked for, in a chunk with choices, is charged, and the client’s stream is as ever', async () => {
    proxy.openai.next({ tokens: 5, usage: 'with-choices' }, { tokens: 5 });
    const odd = await (await startAsking(proxy, alice, 'openai')).toEnd();
    const usual = await (await startAsking(proxy, alice, 'openai')).toEnd();
    expect([names(odd), odd.text]).toEqual([names(usual), usual.text]);
    expect(odd.data('usage')).toMatchObject({ credits: 5, output_tokens: 5, estimated: false });
    expect(proxy.openai.requests[0]?.body).toMatchObject({ stream_options: { include_usage: true } });
    await settled();
    expect(charged()).toBe(10);
  });

  it.each(ADAPTERS)('complaint 13: of zero is the provider’s word and never an estimate (%s)', async (adapter) => {
    proxy[adapter].next({ tokens: 6, usage: { input: 0, output: 0 } });
    const call = await (await startAsking(proxy, alice, adapter)).toEnd();
    await settled();
    expect(call.data('usage')).toMatchObject({ credits: 0, estimated: false });
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', usageSource: 'provider' }]);
    expect(charged()).toBe(0);
  });
});

describe('an answer that is not whole', () => {
  it.each(ADAPTERS)('complaint 23: never looks whole, and silence behind comments has an end (%s)', async (adapter) => {
    proxy[adapter].next({ tokens: 9, cutAfter: 4 }, { tokens: 9, hangAfter: 4, heartbeatMs: 50 });
    const cut = await (await startAsking(proxy, alice, adapter)).toEnd();
    const silent = await (await startAsking(proxy, alice, adapter)).toEnd();
    expect([cut, silent].map(({ events }) => events.at(-1))).toMatchObject([
      { event: 'error', data: { code: 'upstream_interrupted' } },
      { event: 'error', data: { code: 'upstream_timeout' } },
    ]);
    for (const { events } of [cut, silent]) expect(JSON.stringify(events)).not.toContain('[DONE]');
    await settled();
    expect(charged()).toBe(8);
  });
});
