import { afterEach, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { challengeOf, setUp, verify } from '../mfa/factor.ts';
import { type Answer, Auth, type Person, PASSWORD, statuses, times, tokenIn } from '../auth.ts';

const clock = manualClock();
const started: Auth[] = [];
async function start(env: Record<string, string> = {}): Promise<Auth> {
  const auth = await Auth.start({ clock, env: { RATE_LIMITS: 'true', ...env } });
  started.push(auth);
  return auth;
}
afterEach(async () => {
  for (const [index, auth] of started.toReversed().entries())
    await auth.stop({ keepDatabase: index < started.length - 1 });
  started.length = 0;
});

const WRONG = 'not-the-password';
const from = (auth: Auth, ip: string, { username, password = WRONG }: Partial<Person>) =>
  auth.post('/api/auth/login', { username, password }, { headers: { 'x-forwarded-for': ip } });
const lock = (auth: Auth, identifier: string) => times(5, () => auth.logIn(identifier, WRONG));
const deviceOf = (answer: Answer) =>
  answer.headers
    .getSetCookie()
    .find((cookie) => cookie.startsWith('trustedDevice='))
    ?.split(';')[0] ?? '';

describe('wrong passwords', () => {
  it('of 200 guesses made at once at two instances, five are checked, for known and unknown names alike', async () => {
    const one = await start({ LIMIT_LOG_IN_PER_ADDRESS: '10000/15m', LIMIT_LOG_IN_FAILURES_PER_NETWORK: '10000/15m' });
    const two = await start(one.env);
    const alice = await one.member();
    const answersFor = async (name: string) => {
      const answers = await times(200, (index) => (index % 2 === 0 ? one : two).logIn(name, WRONG));
      expect(statuses(answers)).toEqual({ 401: 5, 429: 195 });
      const { body, headers } = await two.logIn(name, PASSWORD);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(800);
      return { ...body, requestId: '' };
    };
    const known = await answersFor(alice.username);
    expect(known).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(await answersFor('nobody-at-all')).toEqual(known);
    expect((await one.auditOf('session.refused')).length).toBe(10);
  });

  it('from one network are limited together, whichever names they try, and right ones are not counted', async () => {
    const auth = await start({ TRUST_PROXY_HOPS: '1', LIMIT_LOG_IN_FAILURES_PER_NETWORK: '6/15m' });
    const alice = await auth.member();
    for (let login = 0; login < 8; login += 1) expect((await from(auth, '192.0.2.1', alice)).status).toBe(200);
    const spray = (index: number) => from(auth, `192.0.2.${index + 1}`, { username: `name-${index}` });
    expect(statuses(await times(20, spray))).toEqual({ 401: 6, 429: 14 });
    expect((await from(auth, '192.0.2.200', alice)).status).toBe(429);
    expect((await from(auth, '198.51.100.1', alice)).status).toBe(200);
    const v6 = (index: number) => from(auth, `2001:db8:1:7${index % 10}::${index}`, { username: `name-${index}` });
    expect(statuses(await times(20, v6))).toEqual({ 401: 6, 429: 14 });
    expect((await from(auth, '2001:db8:1:8000::1', alice)).status).toBe(200);
  });
});

describe('devices that were trusted', () => {
  it('give whoever gathered many of them no more guesses than their owner, also after a new password', async () => {
    const auth = await start();
    const alice = await auth.loggedIn();
    const devices = (await times(8, () => auth.logIn(alice.username, PASSWORD))).map(deviceOf);
    const body = { currentPassword: PASSWORD, newPassword: 'quite-another-walk' };
    expect((await auth.post('/api/change-password', body, { token: alice.accessToken })).status).toBe(200);
    const guess = (cookie: string) =>
      auth.post('/api/auth/login', { username: alice.username, password: WRONG }, { headers: { cookie } });
    const answers = [];
    for (const device of devices) answers.push(...(await times(5, () => guess(device))));
    expect(statuses(answers)).toEqual({ 401: 20, 429: 20 });
    expect((await auth.logIn(alice.username, 'quite-another-walk')).status).toBe(200);
  });
});

describe('a locked name', () => {
  it('lets no other way in: neither a reset nor the own password confirm what a stranger guesses', async () => {
    const auth = await start();
    const alice = await auth.loggedIn();
    await auth.post('/api/auth/forgot-password', { email: alice.email });
    const token = tokenIn(
      await auth.mails.waitForMail(alice.email, (mail) => mail.subject === 'Choose a new password'),
    );
    await lock(auth, alice.email);
    const body = { currentPassword: PASSWORD, newPassword: 'quite-another-walk' };
    const answers = [
      await auth.post('/api/auth/reset-password', { token, newPassword: 'quite-another-walk' }),
      await auth.post('/api/change-password', body, { token: alice.accessToken }),
      await auth.post('/api/auth/step-up', { password: PASSWORD }, { token: alice.accessToken }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([429, 429, 429]);
    for (const { headers } of answers) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(200);
  });

  it('stops a login at its second factor, except on a device of its owner', async () => {
    const auth = await start();
    const member = await auth.member();
    const first = await auth.logIn(member.username, PASSWORD);
    const alice = { ...member, accessToken: first.body.accessToken, refreshToken: '' };
    const app = await setUp(auth, clock, alice);
    const challenge = await challengeOf(auth, alice);
    await lock(auth, alice.username);
    const refused = await verify(auth, challenge, app.backupCodes[0] ?? '');
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
    const body = { challenge, code: app.backupCodes[0] };
    const headers = { cookie: deviceOf(first) };
    expect((await auth.post('/api/auth/mfa/verify', body, { headers })).status).toBe(200);
  });

  it('leaves an existing session as it is', async () => {
    const auth = await start();
    const alice = await auth.loggedIn();
    await lock(auth, alice.username);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(429);
    expect((await auth.profile(alice.accessToken)).status).toBe(200);
    const { status, body } = await auth.refresh(alice.refreshToken);
    expect([status, (await auth.profile(body.accessToken)).status]).toEqual([200, 200]);
  });

  it('opens for its owner on a device used before, which has a count of its own', async () => {
    const auth = await start();
    const [alice, bob] = [await auth.member(), await auth.member('bob')];
    const hers = deviceOf(await auth.logIn(alice.username, PASSWORD));
    const his = deviceOf(await auth.logIn(bob.username, PASSWORD));
    await lock(auth, alice.username);
    const login = (cookie: string, password: string) =>
      auth.post('/api/auth/login', { username: alice.username, password }, { headers: { cookie } });
    const forged = hers.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A'));
    for (const cookie of [his, forged, 'trustedDevice=x']) expect((await login(cookie, PASSWORD)).status).toBe(429);
    expect((await login(hers, PASSWORD)).status).toBe(200);
    expect(statuses(await times(9, () => login(hers, WRONG)))).toEqual({ 401: 5, 429: 4 });
    expect((await login(hers, PASSWORD)).status).toBe(429);
  });
});
