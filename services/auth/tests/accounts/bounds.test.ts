import { afterEach, expect, it } from '@jest/globals';
import { Auth, newPerson, PASSWORD, statuses, times } from '../auth.ts';

let auth: Auth;
afterEach(() => auth.stop());

it('mails nobody more than the limit because strangers sign up with the address, known or not', async () => {
  auth = await Auth.start({ env: { RATE_LIMITS: 'true', LIMIT_SIGN_UP_PER_RECIPIENT: '3/1h' } });
  const alice = await auth.member();
  const refusals = [];
  for (const email of [alice.email, newPerson('unknown').email]) {
    const answers = await times(8, () => auth.signUp({ ...newPerson('stranger'), email }));
    refusals.push(answers.find(({ status }) => status === 429)?.body);
  }
  expect(refusals.map((body) => ({ ...body, requestId: '' }))).toMatchObject([
    { code: 'rate_limited' },
    { code: 'rate_limited' },
  ]);
  // With the sign-up of the owner.
  const told = await auth.auditOf('account.sign-up-refused');
  expect(told).toHaveLength(4);
});

it('bounds the secrets of half-way logins that an address may try', async () => {
  auth = await Auth.start({ env: { RATE_LIMITS: 'true', LIMIT_LOG_IN_PER_ADDRESS: '10/15m' } });
  for (const path of ['/api/auth/mfa/verify', '/api/auth/mfa/enrol']) {
    const body = path.endsWith('verify') ? { challenge: 'guess', code: '123456' } : { challenge: 'guess' };
    const answers = await times(20, () => auth.post(path, body));
    expect([path, statuses(answers)[429] ?? 0]).toEqual([path, path.endsWith('verify') ? 10 : 20]);
  }
});

it('bounds the user names that somebody may try for their own', async () => {
  auth = await Auth.start({ env: { RATE_LIMITS: 'true' } });
  const [alice, bob] = [await auth.loggedIn(), await auth.member('bob')];
  const rename = (username: string) =>
    auth.call('PUT', '/api/profile', { token: alice.accessToken, body: { username } });
  const answers = await times(40, () => rename(bob.username));
  expect(statuses(answers)[429]).toBeGreaterThan(0);
  expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(200);
});
