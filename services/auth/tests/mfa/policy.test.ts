import { afterEach, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, type LoggedIn, newPerson, PASSWORD } from '../auth.ts';
import { appOf, challengeOf, setUp, stepUp, verify } from './factor.ts';

const clock = manualClock();
let auth: Auth;
afterEach(() => auth.stop());

async function adminWithoutFactor() {
  const person = newPerson('root');
  const { userId } = await auth.ensureUser({ ...person, role: 'admin' });
  return { ...person, userId };
}

describe('an installation that wants administrators to have a second factor', () => {
  it('gives an administrator without one no tokens but a way to set it up, and tokens with the first code', async () => {
    auth = await Auth.start({ clock, env: { MFA_REQUIRED_FOR: 'admins' } });
    const root = await adminWithoutFactor();
    const refused = await auth.logIn(root.username, PASSWORD);
    expect([refused.status, refused.body.code, refused.body.accessToken]).toEqual([
      403,
      'mfa_enrolment_required',
      undefined,
    ]);
    expect(refused.headers.getSetCookie()).toEqual([]);
    const { challenge } = refused.body;
    expect((await verify(auth, challenge, '000000')).body.code).toBe('invalid_second_factor');
    const enrolled = await auth.post('/api/auth/mfa/enrol', { challenge });
    const app = appOf(clock, enrolled.body.secret);
    const done = await verify(auth, challenge, app.code());
    expect(done.body).toMatchObject({ message: 'Login successful', user: { role: 'admin' } });
    expect(done.body.backupCodes).toHaveLength(10);
    expect((await auth.profile(done.body.accessToken)).status).toBe(200);
    await auth.mails.waitForMail(root.email, (mail) => mail.subject === 'A second factor was set up');

    expect((await verify(auth, challenge, app.code(1))).body.code).toBe('invalid_challenge');
    expect((await auth.post('/api/auth/mfa/enrol', { challenge })).body.code).toBe('invalid_challenge');
    clock.advance(30_000);
    expect((await verify(auth, await challengeOf(auth, root), app.code())).body.backupCodes).toBeUndefined();
  });

  it('asks nobody else, and refuses an administrator to give it up but not to replace it', async () => {
    auth = await Auth.start({ clock, env: { MFA_REQUIRED_FOR: 'admins' } });
    expect((await auth.loggedIn()).accessToken).toBeDefined();
    const root = await adminWithoutFactor();
    const { challenge } = (await auth.logIn(root.username, PASSWORD)).body;
    const app = appOf(clock, (await auth.post('/api/auth/mfa/enrol', { challenge })).body.secret);
    const { accessToken: token } = (await verify(auth, challenge, app.code())).body;
    clock.advance(30_000);
    const session: LoggedIn = { ...root, accessToken: token, refreshToken: '' };
    expect((await stepUp(auth, session, app.code())).status).toBe(200);
    expect((await auth.post('/api/mfa/totp/disable', undefined, { token })).body.code).toBe('forbidden');
    expect((await auth.post('/api/mfa/totp/enrol', undefined, { token })).status).toBe(200);
    expect((await auth.call('GET', '/api/mfa', { token })).body).toMatchObject({ enabled: true, required: true });
  });

  it('has a password reset and an old challenge lead no further', async () => {
    auth = await Auth.start({ clock, env: { MFA_REQUIRED_FOR: 'everyone' } });
    const alice = await auth.member();
    const login = await auth.logIn(alice.username, PASSWORD);
    expect(login.body.code).toBe('mfa_enrolment_required');
    clock.advance(600_000);
    expect((await auth.post('/api/auth/mfa/enrol', { challenge: login.body.challenge })).status).toBe(401);
  });
});

it('an installation without a policy asks nobody, and only whoever set a factor up for a code', async () => {
  auth = await Auth.start({ clock });
  const root = await auth.admin();
  await setUp(auth, clock, root);
  expect((await auth.logIn(root.username, PASSWORD)).body.mfaRequired).toBe(true);
  expect((await auth.loggedIn()).accessToken).toBeDefined();
});
