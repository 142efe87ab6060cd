import { afterEach, expect, it } from '@jest/globals';
import { Auth, codeIn, newPerson, times } from './auth.ts';

let auth: Auth;
afterEach(() => auth.stop());

it('counts guesses of codes before they are made, so that a burst gets no more of them than the limit', async () => {
  auth = await Auth.start({ env: { RATE_LIMITS: 'true', LIMIT_VERIFY_MISSES: '5/15m', TRUST_PROXY_HOPS: '1' } });
  const bob = newPerson('bob');
  await auth.signUp(bob);
  const code = codeIn(await auth.mails.waitForMail(bob.email));
  const wrong = (index: number) => (index + 1).toString(16).padStart(6, '0');
  // From as many addresses.
  const guess = (token: string, index: number) =>
    auth.post('/api/auth/verify-email', { token }, { headers: { 'x-forwarded-for': `203.0.113.${index + 1}` } });
  const answers = await times(60, (index) => guess(index === 20 ? code : wrong(index), index));
  expect(answers.filter(({ status }) => status === 400).length).toBeLessThanOrEqual(5);
  expect(answers[20]?.status).toBe(429);
});

it('leaves one code of a new account in force: the one that was mailed last', async () => {
  auth = await Auth.start();
  const bob = newPerson('bob');
  await auth.signUp(bob);
  const codes = [codeIn(await auth.mails.waitForMail(bob.email))];
  for (let again = 0; again < 3; again += 1) {
    await auth.post('/api/auth/resend-verification', { email: bob.email });
    codes.push(
      codeIn(await auth.mails.waitForMail(bob.email, ({ text }) => codes.every((code) => !text.includes(code)))),
    );
  }
  const stored = auth.db.collection('mailed_codes');
  expect(await stored.countDocuments({ kind: 'verify-email' })).toBe(1);
  const [last, ...others] = codes.reverse();
  for (const token of others) expect((await auth.post('/api/auth/verify-email', { token })).status).toBe(400);
  expect((await auth.post('/api/auth/verify-email', { token: last })).status).toBe(200);
});
