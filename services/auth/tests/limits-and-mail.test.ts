import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { manualClock, startChaosProxy } from '@tollgate/test-kit';
import { Auth, codeIn, newPerson, PASSWORD, statuses, times, tokenIn } from './auth.ts';

let auth: Auth;
afterEach(() => auth.stop());

describe('limits', () => {
  it('refuse a login after 5 wrong passwords, alike for known and unknown names, and a success resets the count', async () => {
    auth = await Auth.start({ env: { RATE_LIMITS: 'true' } });
    const alice = await auth.member();
    for (let attempt = 0; attempt < 4; attempt += 1) await auth.logIn(alice.username, 'not-the-password');
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(200);
    const refusals = [];
    for (const name of [alice.username, 'nobody-at-all']) {
      const answers = await times(12, () => auth.logIn(name, 'not-the-password'));
      expect(statuses(answers)).toEqual({ 401: 5, 429: 7 });
      const refused = await auth.logIn(name, PASSWORD);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      refusals.push({ ...refused.body, requestId: '' });
    }
    expect(refusals[0]).toEqual(refusals[1]);
  });

  it('let 20 simultaneous right logins of one user through', async () => {
    auth = await Auth.start({ env: { RATE_LIMITS: 'true' } });
    const alice = await auth.member();
    expect(statuses(await times(20, () => auth.logIn(alice.username, PASSWORD)))).toEqual({ 200: 20 });
  });

  it('bound the guesses of a verification code and of the current password', async () => {
    auth = await Auth.start({ env: { RATE_LIMITS: 'true', LIMIT_VERIFY_MISSES: '3/15m' } });
    const [bob, alice] = [newPerson('bob'), await auth.loggedIn()];
    await auth.signUp(bob);
    const code = codeIn(await auth.mails.waitForMail(bob.email));
    const wrong = code === '000000' ? '000001' : '000000';
    const guess = (body: object) => auth.post('/api/auth/verify-email', body);
    const alone = [];
    for (let attempt = 0; attempt < 5; attempt += 1) alone.push(await guess({ token: wrong }));
    expect(statuses(alone)).toEqual({ 400: 3, 429: 2 });
    // The limit for everybody together does not stop somebody who names the account.
    expect((await guess({ token: wrong, email: bob.email })).status).toBe(400);
    expect((await guess({ token: code, email: alice.email })).status).toBe(400);
    expect((await guess({ token: code, email: bob.email })).status).toBe(200);

    const change = () =>
      auth.post(
        '/api/change-password',
        { currentPassword: 'not-the-password', newPassword: 'quite-another-walk' },
        { token: alice.accessToken },
      );
    expect(statuses(await times(8, change))).toEqual({ 400: 5, 429: 3 });
  });
});

describe('mails', () => {
  it('wait in the queue while the mail server fails, and nobody who asked can tell', async () => {
    const clock = manualClock();
    auth = await Auth.start({ clock });
    auth.mails.refuseRecipients(450);
    const bob = newPerson('bob');
    expect((await auth.signUp(bob)).status).toBe(201);
    await attempted(auth, 1);
    const [waiting] = await auth.db.collection('mail_queue').find().toArray();
    expect(JSON.stringify(waiting)).not.toMatch(/[0-9a-f]{64}|verification code/);
    auth.mails.refuseRecipients();
    clock.advance(10_000);
    const code = codeIn(await auth.mails.waitForMail(bob.email));
    expect((await auth.post('/api/auth/verify-email', { token: code })).status).toBe(200);
    expect(await auth.db.collection('mail_queue').countDocuments()).toBe(0);
  });

  it('are dropped when the server refuses the recipient for good', async () => {
    auth = await Auth.start();
    auth.mails.refuseRecipients(550);
    await auth.signUp(newPerson('bob'));
    await eventually(async () => (await auth.auditOf('mail.given-up')).length === 1);
    await eventually(async () => (await auth.db.collection('mail_queue').countDocuments()) === 0);
    expect(await auth.auditOf('mail.given-up')).toMatchObject([{ facts: { kind: 'verification', reason: 'refused' } }]);
  });

  it('carry no link to a host that a request names, and escape what people type', async () => {
    auth = await Auth.start();
    const bob = newPerson('bob');
    const headers = { 'x-forwarded-host': 'evil.example.test', forwarded: 'host=evil.example.test' };
    await auth.post('/api/auth/signup', { username: bob.username, email: bob.email, password: PASSWORD }, { headers });
    const mail = await auth.mails.waitForMail(bob.email);
    expect(mail.links).toEqual([`https://chat.example.test/verify-email#code=${codeIn(mail)}`]);
    expect(mail.html).toContain(`Hello ${bob.username}`);
    await auth.post('/api/auth/verify-email', { token: codeIn(mail) });
    await askAs('evil.example.test', auth, bob.email);
    const reset = await auth.mails.waitForMail(bob.email, ({ subject }) => subject === 'Choose a new password');
    expect(reset.links).toEqual([`https://chat.example.test/reset-password#token=${tokenIn(reset)}`]);
    for (const { text, html } of [mail, reset]) expect(text + html).not.toContain('evil');
  });

  it('store codes as keyed hashes that expire', async () => {
    const clock = manualClock();
    auth = await Auth.start({ clock });
    const bob = newPerson('bob');
    await auth.signUp(bob);
    const code = codeIn(await auth.mails.waitForMail(bob.email));
    expect(JSON.stringify(await auth.db.collection('mailed_codes').find().toArray())).not.toContain(code);
    clock.advance(24 * 3_600_000);
    expect((await auth.post('/api/auth/verify-email', { token: code })).status).toBe(400);
    await auth.post('/api/auth/resend-verification', { email: bob.email });
    const fresh = codeIn(await auth.mails.waitForMail(bob.email, (mail) => !mail.text.includes(code)));
    expect((await auth.post('/api/auth/verify-email', { token: fresh })).status).toBe(200);
  });
});

describe('a database that cannot be reached', () => {
  it('is a 503 with Retry-After and not ready, and works again when it is back', async () => {
    const chaos = await startChaosProxy({ target: process.env['TEST_MONGO_URL'] ?? '' });
    try {
      const url = new URL(chaos.url);
      url.pathname = `/t_${randomUUID().replaceAll('-', '')}`;
      url.searchParams.set('directConnection', 'true');
      auth = await Auth.start({ env: { MONGODB_URI: url.href, MONGO_OPERATION_TIMEOUT: '3s' } });
      const alice = await auth.member();
      await chaos.refuse(true);
      chaos.resetAll();
      const refused = await auth.logIn(alice.username, PASSWORD);
      expect([refused.status, refused.body.code]).toEqual([503, 'dependency_unavailable']);
      expect(refused.headers.get('retry-after')).toBe('2');
      expect((await auth.call('GET', '/health/live')).status).toBe(200);
      expect((await auth.call('GET', '/health/ready')).status).toBe(503);
      await chaos.refuse(false);
      await eventually(async () => (await auth.logIn(alice.username, PASSWORD)).status === 200);
    } finally {
      await auth.stop();
      await chaos.stop();
      auth = await Auth.start();
    }
  });
});

/** With a Host header of its own, which fetch does not let anybody set. */
async function askAs(host: string, service: Auth, email: string): Promise<void> {
  const headers = { host, 'x-forwarded-host': host, forwarded: `host=${host}`, 'content-type': 'application/json' };
  const asked = request(`${service.url}/api/auth/forgot-password`, { method: 'POST', headers });
  asked.end(JSON.stringify({ email }));
  const [response] = await once(asked, 'response');
  response.resume();
  expect(response.statusCode).toBe(200);
}

async function attempted(service: Auth, attempts: number): Promise<void> {
  await eventually(async () => (await service.db.collection('mail_queue').countDocuments({ attempts })) === 1);
}

/** For what happens in the background: asks until it is so. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('it did not happen within 10 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
