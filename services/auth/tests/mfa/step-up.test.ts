import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, newPerson, PASSWORD } from '../auth.ts';
import { challengeOf, setUp, stepUp, verify } from './factor.ts';

const clock = manualClock();
let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start({ clock });
});
afterAll(() => auth.stop());

const CHANGES = ['/api/mfa/totp/enrol', '/api/mfa/totp/disable', '/api/mfa/backup-codes'];
const mailed = (email: string, subject: string) => auth.mails.waitForMail(email, (mail) => mail.subject === subject);

describe('a sensitive change', () => {
  it('is refused to a session that has not stepped up, also right after the login, and changes nothing', async () => {
    const alice = await auth.loggedIn();
    const token = alice.accessToken;
    for (const path of [...CHANGES, '/api/mfa/totp/confirm']) {
      const answer = await auth.post(path, path.endsWith('confirm') ? { code: '000000' } : undefined, { token });
      expect([path, answer.status, answer.body.code]).toEqual([path, 403, 'step_up_required']);
    }
    expect(await auth.db.collection('second_factors').countDocuments()).toBe(0);
  });

  it('is open for five minutes after the password, in that session alone', async () => {
    const alice = await auth.loggedIn();
    const other = await auth.session(alice);
    const answer = await stepUp(auth, alice);
    expect(answer.body).toEqual({
      message: 'You may make sensitive changes now',
      until: new Date(clock.now() + 300_000).toISOString(),
    });
    const enrol = (token: string) => auth.post('/api/mfa/totp/enrol', undefined, { token });
    expect((await enrol(other.accessToken)).status).toBe(403);
    clock.advance(300_000);
    expect((await enrol(alice.accessToken)).status).toBe(200);
    clock.advance(1);
    expect((await enrol(alice.accessToken)).status).toBe(403);
    expect((await auth.auditOf('session.stepped-up')).length).toBeGreaterThanOrEqual(1);
  });

  it('needs the second factor as well when there is one', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    clock.advance(300_000);
    const alone = await stepUp(auth, alice);
    expect([alone.status, alone.body.code]).toEqual([401, 'invalid_second_factor']);
    expect((await stepUp(auth, alice, '000000')).status).toBe(401);
    const wrong = await stepUp(auth, { ...alice, password: 'not-the-password' }, app.code());
    expect([wrong.status, wrong.body.code]).toEqual([400, 'wrong_password']);
    const token = alice.accessToken;
    expect((await auth.post('/api/mfa/backup-codes', undefined, { token })).status).toBe(403);
    expect((await stepUp(auth, alice, app.code())).status).toBe(200);
    expect((await auth.post('/api/mfa/backup-codes', undefined, { token })).status).toBe(200);
  });

  it('gives new backup codes, which void the old set, and mails and audits it', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    await stepUp(auth, alice, app.code());
    const { body } = await auth.post('/api/mfa/backup-codes', undefined, { token: alice.accessToken });
    expect(body.backupCodes).toHaveLength(10);
    const challenge = await challengeOf(auth, alice);
    for (const code of app.backupCodes) expect((await verify(auth, challenge, code)).status).toBe(401);
    expect((await verify(auth, challenge, body.backupCodes[9] ?? '')).status).toBe(200);
    await mailed(alice.email, 'You have new backup codes');
    expect(await auth.auditOf('mfa.backup-codes-replaced')).not.toEqual([]);
  });

  it('gives the second factor up: the password alone opens a session again, the owner is told', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    const halfWay = await challengeOf(auth, alice);
    await stepUp(auth, alice, app.code());
    const disable = () => auth.post('/api/mfa/totp/disable', undefined, { token: alice.accessToken });
    expect((await disable()).status).toBe(200);
    expect((await disable()).status).toBe(404);
    clock.advance(30_000);
    expect((await verify(auth, halfWay, app.code())).body.code).toBe('invalid_challenge');
    expect((await auth.logIn(alice.username, PASSWORD)).body.accessToken).toBeDefined();
    await mailed(alice.email, 'Your second factor was removed');
    expect(await auth.auditOf('mfa.disabled')).not.toEqual([]);
  });

  it('moves the e-mail address of an account with a second factor', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    clock.advance(300_000);
    const body = { email: newPerson('moved').email, currentPassword: PASSWORD };
    const move = () => auth.call('PUT', '/api/profile', { body, token: alice.accessToken });
    expect((await move()).body.code).toBe('step_up_required');
    expect((await auth.profile(alice.accessToken)).body.user['pendingEmail']).toBeUndefined();
    await stepUp(auth, alice, app.code());
    expect((await move()).body.user['pendingEmail']).toBe(body.email);
  });
});

describe('an administrator', () => {
  it('removes the second factor of somebody else after a step-up; the user is told and it is audited', async () => {
    const [alice, root] = [await auth.loggedIn(), await auth.admin()];
    await setUp(auth, clock, alice);
    const reset = (userId: string) =>
      auth.call('DELETE', `/api/admin/users/${userId}/mfa`, { token: root.accessToken });
    expect((await reset(alice.userId)).body.code).toBe('step_up_required');
    expect((await auth.logIn(alice.username, PASSWORD)).body.mfaRequired).toBe(true);
    await stepUp(auth, root);
    expect((await reset(root.userId)).body.code).toBe('own_account');
    expect((await reset('0'.repeat(24))).status).toBe(404);
    expect((await reset(alice.userId)).body).toEqual({ message: 'Second factor removed' });
    expect((await reset(alice.userId)).status).toBe(404);
    expect((await auth.logIn(alice.username, PASSWORD)).body.accessToken).toBeDefined();
    await mailed(alice.email, 'Your second factor was reset');
    const [line] = await auth.auditOf('mfa.reset-by-admin');
    expect([String(line?.['actorId']), String(line?.['targetId'])]).toEqual([root.userId, alice.userId]);
  });
});
