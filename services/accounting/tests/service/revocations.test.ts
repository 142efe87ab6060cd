import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

type Entry = Record<string, unknown>;
const revocations: Entry[] = [];
const asked: (string | undefined)[] = [];
/** Auth, as far as accounting asks it. */
const auth = createServer(({ headers }, response) => {
  asked.push(headers.authorization);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ revocations, nextCursor: null, now: Date.now() }));
});

let accounting: Accounting;
beforeAll(async () => {
  await new Promise<void>((resolve) => void auth.listen(0, '127.0.0.1', resolve));
  const address = Object(auth.address()) as { port: number };
  accounting = await Accounting.start({
    AUTH_API_URL: `http://127.0.0.1:${address.port}`,
    REVOCATIONS_POLL: '50ms',
  });
  await accounting.first.deps.start();
});
afterAll(async () => {
  await accounting.stop();
  auth.closeAllConnections();
  auth.close();
});

const revoke = ({ userId }: User) =>
  revocations.push({
    kind: 'user',
    id: `user:${userId}:2`,
    userId,
    minVersion: 2,
    madeAt: Date.now() + 1000,
    reason: 'role-changed',
  });
const readBalance = ({ token }: User) => accounting.call('GET', '/api/credits/balance', { token });
/** Each look is a round trip; auth is asked twenty times a second. */
async function untilRefused(user: User): Promise<void> {
  while ((await readBalance(user)).status !== 401);
}

describe('a token that auth has revoked', () => {
  it('is refused, also after it was let in before, and nobody else’s is', async () => {
    const [alice, bob] = [await accounting.user(), await accounting.user()];
    revoke(alice);
    await untilRefused(alice);
    expect((await readBalance(alice)).body.code).toBe('invalid_token');
    expect((await readBalance(bob)).status).toBe(200);
    expect(asked[0]).toMatch(/^Bearer ey/);
  });

  it('opens no hold in the hands of the proxy, while what it held before is settled', async () => {
    const alice = await accounting.user({ credits: 100 });
    const { body } = await accounting.hold(alice, { output: 10 });
    revoke(alice);
    await untilRefused(alice);
    expect(await accounting.hold(alice, { output: 10 })).toMatchObject({
      status: 401,
      body: { code: 'invalid_token' },
    });
    // The proxy names the user by id from then on.
    const service = await accounting.tokens.service('chat-proxy', 'accounting');
    const settled = await accounting.call('POST', `/api/holds/${String(body['holdId'])}/settle`, {
      token: service,
      onBehalfOf: alice.userId,
      body: { outcome: 'failed', units: { output: 3 }, usageSource: 'provider' },
    });
    expect(settled).toMatchObject({ status: 200, body: { chargedCredits: 3 } });
  });
});

describe('how long auth has not answered', () => {
  it('is shown as a metric', async () => {
    const metrics = await (await fetch(`${accounting.url}/metrics`)).text();
    expect(metrics).toMatch(/tollgate_revocations_age_seconds\S* \d/);
  });
});
