import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { startChat } from '@tollgate/test-kit';
import type { StopReason } from '../../src/domain/wire-types.ts';
import {
  type Adapter,
  ADAPTERS,
  askOf,
  chatflowIdOf,
  names,
  resetFakes,
  startAsking,
  STREAM,
  untilUpstreamStopped,
} from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';

const UPSTREAM_STOP_MS = 1000;
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

const rows = () => proxy.db.collection('open_holds').countDocuments();

describe('a refusal of accounting', () => {
  const LATER = { 'retry-after': '7', ratelimit: '"requests";r=0;t=7', 'ratelimit-policy': '"requests";q=5;w=60' };
  const BUDGET = { scope: 'workspace', window: 'day', limit: 500, resetsAt: '2030-01-02T00:00:00.000Z' };
  it.each([
    [402, 'BUDGET_EXCEEDED', {}, BUDGET],
    [429, 'RATE_LIMITED', LATER, { scope: 'user', limit: 5 }],
    [429, 'PARALLEL_LIMIT', { 'retry-after': '1' }, { scope: 'api_key', limit: 2 }],
    [403, 'ACCOUNT_DISABLED', {}, {}],
    [403, 'KEY_REVOKED', {}, {}],
  ] as const)('%i %s reaches the client as it is, and no upstream is asked', async (status, code, headers, extra) => {
    proxy.accounting.refusal = new AppError(code, undefined, { headers, extra });
    const streamed = await startAsking(proxy, alice, 'openai');
    const whole = await alice.call('POST', '/api/v1/chat/predict', askOf('Hi', 'model:priced'));
    for (const { status: answered, headers: sent, problem } of [streamed, { ...whole, problem: whole.body }]) {
      expect(answered).toBe(status);
      expect(sent).toMatchObject(headers);
      expect(problem).toMatchObject({ status, code: code.toLowerCase(), ...extra });
    }
    expect([proxy.openai.calls(), proxy.accounting.openHolds()]).toEqual([0, 0]);
    await until(async () => (await rows()) === 0);
    expect(proxy.accounting.settlements).toEqual([]);
    expect(await proxy.db.collection('sessions').countDocuments({ user_id: alice.userId })).toBe(0);
  });
});

describe('an answer whose payer may not go on', () => {
  /** What there is to see when accounting stops the answer of a user in mid-stream. */
  async function stopInMidStream(adapter: Adapter, reason: StopReason) {
    proxy[adapter].next({ tokens: 500, tokenDelayMs: 20 });
    const call = await startAsking(proxy, alice, adapter);
    await call.until('token', 5);
    proxy.accounting.stopped.set(alice.userId as never, reason);
    const told = performance.now();
    await untilUpstreamStopped(proxy, adapter);
    const stoppedMs = performance.now() - told;
    await call.toEnd();
    await until(async () => (await rows()) === 0);
    const [settlement, ...others] = proxy.accounting.settlements;
    const charged = settlement?.units?.output ?? 0;
    const { tokensSent = 0 } = proxy[adapter].requests[0] ?? {};
    return {
      code: Object(call.events.at(-1)?.data).code,
      hasEnd: names(call).includes('end'),
      // One renewal, which is 100 ms here, and a second for the upstream.
      isUpstreamStoppedInTime: stoppedMs < UPSTREAM_STOP_MS + 100,
      settled: [settlement?.kind, settlement?.outcome, settlement?.usageSource, others.length],
      isChargedForWhatCame: charged >= 5 && charged <= tokensSent,
      paidBeyondIt: 1000 - proxy.accounting.balanceOf(alice.userId) - charged,
    };
  }
  const ENDED = {
    hasEnd: false,
    isUpstreamStoppedInTime: true,
    settled: ['settle', 'failed', 'estimated', 0],
    isChargedForWhatCame: true,
    paidBeyondIt: 0,
  };

  it.each(ADAPTERS)(
    'case 24: of a user disabled in mid-stream ends at the next renewal, charged for what was produced (%s)',
    async (adapter) => {
      expect(await stopInMidStream(adapter, 'account_disabled')).toEqual({ ...ENDED, code: 'account_disabled' });
    },
  );

  it.each(ADAPTERS)(
    'case 25: of a key revoked in mid-stream ends in the same way, and says why (%s)',
    async (adapter) => {
      expect(await stopInMidStream(adapter, 'key_revoked')).toEqual({ ...ENDED, code: 'key_revoked' });
    },
  );
});

describe('the limit of an answer', () => {
  const PREDICT = '/api/v1/chat/predict';
  const limitsSent = () => proxy.openai.requests.map(({ body }) => Object(body).max_tokens);
  const predict = (person: Person, max_tokens?: unknown) =>
    person.call<{ metadata: { usage: object } }>('POST', PREDICT, {
      ...askOf('Hi', 'model:priced'),
      ...(max_tokens !== undefined && { overrideConfig: { max_tokens } }),
    });

  it('case 26: without max_tokens it is clamped to what a small balance buys, and header and usage say so', async () => {
    const [poor, poorest, broke] = await Promise.all([300, 256, 255].map((balance) => proxy.person({ balance })));
    if (!poor || !poorest || !broke) throw new Error('three people were asked for');
    const streamed = await (await startChat(proxy.url + STREAM, poor.token, askOf('Hi', 'model:priced'))).toEnd();
    expect(streamed.headers['x-max-output-tokens']).toBe('300');
    expect(streamed.data('usage')).toMatchObject({ clamped_to: 300 });
    const whole = await predict(poorest);
    expect([whole.status, whole.headers['x-max-output-tokens']]).toEqual([200, '256']);
    expect(whole.body.metadata.usage).toMatchObject({ clamped_to: 256 });
    // Below the least output worth having there is nothing to clamp to.
    expect(await predict(broke)).toMatchObject({ status: 402, body: { code: 'insufficient_credits' } });
    expect(limitsSent()).toEqual([300, 256]);
    const rich = await predict(await proxy.person({ balance: 5000 }));
    expect([rich.status, rich.headers['x-max-output-tokens']]).toEqual([200, undefined]);
  });

  it('case 27: max_tokens of 999,999,999 becomes the operator’s limit before the hold, and a lower one is kept', async () => {
    const rich = await proxy.person({ balance: 5000 });
    const path = `/api/v1/admin/chatflows/${chatflowIdOf(proxy, 'openai')}`;
    expect(await proxy.admin.call('PATCH', path, { max_output_tokens: 400 })).toMatchObject({ status: 200 });
    try {
      for (const wanted of [999_999_999, 10]) expect(await predict(rich, wanted)).toMatchObject({ status: 200 });
      const held = proxy.accounting.holds().filter(({ userId }) => userId === rich.userId);
      expect(held.map(({ hold }) => [hold.units.output, hold.heldCredits, hold.clamped])).toEqual([
        [400, 400, false],
        [10, 10, false],
      ]);
      expect(limitsSent()).toEqual([400, 10]);
    } finally {
      await proxy.admin.call('PATCH', path, { max_output_tokens: null });
    }
  });

  it.each([0, -1, 1.5, '10', null])('of %p is refused before anything is reserved', async (wanted) => {
    expect(await predict(alice, wanted)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    expect([proxy.openai.calls(), proxy.accounting.settlements]).toEqual([0, []]);
  });
});
