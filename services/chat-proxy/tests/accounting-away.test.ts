import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startChat } from '@tollgate/test-kit';
import { askOf, STORE } from './fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from './fixtures/proxy.ts';

const BREAK_MS = 800;
let proxy: Proxy;
let alice: Person;

beforeAll(async () => {
  proxy = await startProxy({ env: { ACCOUNTING_BREAK_AFTER: '3', ACCOUNTING_BREAK_TIME: `${BREAK_MS}ms` } });
  alice = await proxy.person();
});
afterAll(() => proxy.stop());

const ask = () => startChat(proxy.url + STORE, alice.token, askOf('Hello', 'model:priced'));
const rows = () => proxy.db.collection('open_holds').countDocuments();

describe('accounting that is away', () => {
  it('is spared after some failures in a row, while running answers are still settled, and tried again later', async () => {
    proxy.openai.next({ tokens: 5, hangAfter: 3 });
    const running = await ask();
    await running.until('token', 3);
    proxy.accounting.isAway = true;
    for (let at = 0; at < 3; at += 1) expect((await ask()).status).toBe(503);
    const asked = proxy.accounting.holdCalls;
    const refused = await ask();
    expect([refused.status, refused.problem?.code, refused.headers['retry-after']]).toEqual([
      503,
      'accounting_unavailable',
      '1',
    ]);
    expect(proxy.accounting.holdCalls).toBe(asked);
    proxy.accounting.isAway = false;
    running.hangUp();
    await until(() => proxy.accounting.settlements.some(({ kind }) => kind === 'settle'));
    await until(async () => (await ask()).status === 200);
    await until(async () => (await rows()) === 0);
    expect(proxy.accounting.holdCalls).toBe(asked + 1);
  });

  it('takes a settlement without the upstream’s own figures when it refuses these', async () => {
    proxy.accounting.settlements.length = 0;
    proxy.accounting.refusesRawUsage = true;
    const before = proxy.accounting.balanceOf(alice.userId);
    proxy.openai.next({ tokens: 4 });
    await (await ask()).toEnd();
    await until(async () => (await rows()) === 0);
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'completed' }]);
    expect(proxy.accounting.balanceOf(alice.userId)).toBe(before - 4);
  });
});
