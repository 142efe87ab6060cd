import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { auth } from '@tollgate/contracts';
import { directive, startChat } from '@tollgate/test-kit';
import { type Person, type Proxy, startProxy, until } from './fixtures/proxy.ts';

let proxy: Proxy;
beforeAll(async () => {
  proxy = await startProxy({ env: { UPSTREAM_IDLE_TIMEOUT: '60s' } });
});
afterAll(() => proxy.stop());

const statusOf = async ({ call }: Person) => (await call('GET', '/api/v1/chat/sessions')).status;
/** The account as it is from now on: older tokens count no longer. */
const revoke = ({ userId }: Person, reason: string) =>
  void proxy.auth.revocations.push({
    kind: 'user',
    id: `user:${userId}:2`,
    userId: userId as never, // ids of users are branded
    minVersion: 2,
    madeAt: Date.now() + 1000,
    reason,
  } satisfies auth.Revocation);

describe('a token that auth has revoked', () => {
  it('is refused, also after it was let in before, and nobody else’s is', async () => {
    const [alice, bob] = [await proxy.person(), await proxy.person()];
    expect([await statusOf(alice), await statusOf(bob)]).toEqual([200, 200]);
    revoke(alice, 'logout-all');
    await until(async () => (await statusOf(alice)) === 401);
    expect((await alice.call('GET', '/api/v1/chat/sessions')).body).toMatchObject({ code: 'invalid_token' });
    expect(await statusOf(bob)).toBe(200);
  });

  it('ends the answer under way with the reason in an error event, and what was produced is settled', async () => {
    const alice = await proxy.person();
    const ask = { question: directive({ tokens: 400, hangAfter: 5 }), chatflow_id: 'model:priced' };
    const chat = await startChat(`${proxy.url}/api/v1/chat/predict/stream/store`, alice.token, ask);
    await chat.until('token', 5);
    revoke(alice, 'account-disabled');
    await chat.toEnd();
    expect(chat.data('error')).toMatchObject({ code: 'account_disabled' });
    expect(chat.events.some(({ data }) => data === '[DONE]')).toBe(false);
    await until(() => proxy.accounting.openHolds() === 0);
    expect(proxy.accounting.settlements).toMatchObject([{ outcome: 'failed', units: { output: 5 } }]);
  });
});

describe('how long auth has not answered', () => {
  it('is shown as a metric', async () => {
    expect(await (await fetch(`${proxy.url}/metrics`)).text()).toMatch(/tollgate_revocations_age_seconds\S* \d/);
  });
});
