import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startChat } from '@tollgate/test-kit';
import { askOf, type AskBody, names, STORE } from './fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from './fixtures/proxy.ts';

let proxy: Proxy;
let alice: Person;

beforeAll(async () => {
  proxy = await startProxy();
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  proxy.flowise.reset();
  proxy.openai.reset();
  proxy.accounting.isAway = false;
  proxy.accounting.settlements.length = 0;
  alice = await proxy.person();
});

const ask = (question: string, chatflowId = proxy.flowise.chain.id) => askOf(question, chatflowId);
const stream = (person: Person, body: AskBody) => startChat(proxy.url + STORE, person.token, body);
const settled = () => until(() => proxy.accounting.openHolds() === 0);

describe('an upstream that fails', () => {
  it.each([
    ['refuses', { error: { status: 500, message: 'Unauthorized' } }, 502, 'upstream_failed'],
    ['is busy', { error: { status: 429, retryAfterSeconds: 7 } }, 429, 'rate_limited'],
    ['never answers', { hang: true }, 504, 'upstream_timeout'],
    ['answers a page', { html: true }, 502, 'upstream_protocol_error'],
    ['resets the connection at once', { resetAfter: 0 }, 502, 'upstream_interrupted'],
    [
      'answers something that is no HTTP',
      { raw: { text: 'HTTP/1.1 2OO\r\n\r\nhello' } },
      502,
      'upstream_protocol_error',
    ],
  ] as const)('when it %s: a status, no charge, no session', async (_, scenario, status, code) => {
    proxy.flowise.next(scenario);
    const call = await stream(alice, ask('Fail'));
    expect([call.status, call.problem?.code]).toEqual([status, code]);
    expect(JSON.stringify(call.problem)).not.toContain('zanzibar');
    expect(call.headers['retry-after']).toBe(status === 429 ? '7' : undefined);
    await settled();
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'void' }]);
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(1000);
    expect(await proxy.db.collection('sessions').countDocuments({ user_id: alice.userId })).toBe(0);
  });

  it.each([
    ['resets the connection', { resetAfter: 3 }, 'upstream_interrupted'],
    ['closes without an end', { cutAfter: 3 }, 'upstream_interrupted'],
    ['sends its end without metadata', { tokens: 3, omit: ['metadata'] as 'metadata'[] }, 'upstream_interrupted'],
    ['reports an error', { errorEvent: { after: 3 } }, 'upstream_failed'],
    ['sends broken JSON', { intrusion: { after: 3, kind: 'broken-json' as const } }, 'upstream_protocol_error'],
    [
      'sends an endless line',
      { intrusion: { after: 3, kind: 'huge-line' as const, bytes: 2_000_000 } },
      'upstream_protocol_error',
    ],
  ])('when it %s in the middle: an error event, no end, a charge for what came', async (_, scenario, code) => {
    proxy.flowise.next({ tokens: 8, ...scenario });
    const call = await (await stream(alice, ask('Break off'))).toEnd();
    expect(call.status).toBe(200);
    expect(call.events.at(-1)).toMatchObject({ event: 'error', data: { code } });
    expect(names(call)).not.toContain('end');
    expect(call.text).toBe('t1 t2 t3');
    await settled();
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'failed', units: { request: 1 } }]);
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(999);
  });

  it.each([
    ['resets the connection', { resetAfter: 3 }, 'upstream_interrupted'],
    ['reports an error', { errorEvent: { after: 3 } }, 'upstream_failed'],
    ['goes silent', { hangAfter: 3 }, 'upstream_timeout'],
  ])('when a model %s in the middle: charged for the tokens that came', async (_, scenario, code) => {
    proxy.openai.next({ tokens: 8, ...scenario });
    const call = await (await stream(alice, ask('Break off', 'model:priced'))).toEnd();
    expect(call.events.at(-1)).toMatchObject({ event: 'error', data: { code } });
    await settled();
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(997);
  });

  it('never comes to an end: it is ended at the total limit', async () => {
    const limited = await startProxy({ env: { UPSTREAM_TOTAL_TIMEOUT: '500ms' } });
    const person = await limited.person();
    limited.openai.next({ tokens: 1000, tokenDelayMs: 20 });
    const call = await (await startChat(limited.url + STORE, person.token, ask('Endless', 'model:priced'))).toEnd();
    expect(call.events.at(-1)).toMatchObject({ event: 'error', data: { code: 'upstream_timeout' } });
    expect(call.text.startsWith('t1 t2')).toBe(true);
    await until(() => limited.accounting.openHolds() === 0);
    expect(limited.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'failed' }]);
    await limited.stop();
  });

  it('after the model has finished: the answer is whole, and the last usage counts', async () => {
    proxy.openai.next({ tokens: 3, omit: ['done'] });
    const call = await (await stream(alice, ask('Whole', 'model:priced'))).toEnd();
    expect([names(call).at(-1), proxy.accounting.balanceOf(alice.userId)]).toEqual(['end', 997]);
  });

  it.each(['negative', 'string', 'overflow', 'null', 'absent'] as const)(
    'when its usage is %s: our own count is charged and marked',
    async (usage) => {
      proxy.openai.next({ tokens: 4, usage });
      const call = await (await stream(alice, ask('Usage', 'model:priced'))).toEnd();
      expect(call.data('usage')).toMatchObject({ credits: 4, estimated: true });
    },
  );
});
