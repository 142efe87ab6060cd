import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { ObjectId } from 'mongodb';
import { Auth, PASSWORD, tokenIn } from '../auth.ts';
import { appOf, challengeOf, setUp, stepUp, verify } from './factor.ts';

const clock = manualClock();
let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start({ clock });
});
afterAll(() => auth.stop());

const mailed = (email: string, subject: string) => auth.mails.waitForMail(email, (mail) => mail.subject === subject);
const factorOf = async (userId: string) =>
  auth.db.collection('second_factors').findOne({ _id: ObjectId.createFromHexString(userId) });

describe('setting up a second factor', () => {
  it('shows secret, address and image once, counts from the first right code, and is told, mailed and audited', async () => {
    const alice = await auth.loggedIn();
    const token = alice.accessToken;
    await stepUp(auth, alice);
    const enrolled = await auth.post('/api/mfa/totp/enrol', undefined, { token });
    expect(enrolled.body).toEqual({
      secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
      otpauthUri: expect.stringContaining(encodeURIComponent(alice.email)),
      qrCode: expect.stringMatching(/^data:image\/png;base64,/),
    });
    const app = appOf(clock, enrolled.body.secret);
    expect((await auth.call('GET', '/api/mfa', { token })).body).toMatchObject({ enabled: false });
    expect((await auth.logIn(alice.username, PASSWORD)).body.accessToken).toBeDefined();

    const wrong = await auth.post('/api/mfa/totp/confirm', { code: app.code(2) }, { token });
    expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_second_factor']);
    const confirmed = await auth.post('/api/mfa/totp/confirm', { code: app.code() }, { token });
    expect(confirmed.body.backupCodes).toHaveLength(10);
    expect((await auth.call('GET', '/api/mfa', { token })).body).toEqual({
      enabled: true,
      enabledAt: new Date(clock.now()).toISOString(),
      backupCodesLeft: 10,
      required: false,
    });
    await mailed(alice.email, 'A second factor was set up');
    expect(await auth.auditOf('mfa.enabled')).toHaveLength(1);

    const dump = JSON.stringify([await factorOf(alice.userId), await auth.db.collection('audit_log').find().toArray()]);
    for (const secret of [app.secret, ...confirmed.body.backupCodes]) expect(dump).not.toContain(secret);
  });

  it('is refused after the shown secret has waited for ten minutes', async () => {
    const alice = await auth.loggedIn();
    const token = alice.accessToken;
    await stepUp(auth, alice);
    const app = appOf(clock, (await auth.post('/api/mfa/totp/enrol', undefined, { token })).body.secret);
    clock.advance(600_001);
    await stepUp(auth, alice);
    expect((await auth.post('/api/mfa/totp/confirm', { code: app.code() }, { token })).status).toBe(401);
    expect((await auth.logIn(alice.username, PASSWORD)).body.accessToken).toBeDefined();
  });

  it('moves to another phone: the old app counts until the first code of the new one, then neither it nor its backup codes do', async () => {
    const alice = await auth.loggedIn();
    const old = await setUp(auth, clock, alice);
    await stepUp(auth, alice, old.code());
    clock.advance(30_000);
    const token = alice.accessToken;
    const moved = appOf(clock, (await auth.post('/api/mfa/totp/enrol', undefined, { token })).body.secret);
    expect((await verify(auth, await challengeOf(auth, alice), old.code())).status).toBe(200);
    expect((await auth.post('/api/mfa/totp/confirm', { code: moved.code() }, { token })).status).toBe(200);
    clock.advance(30_000);
    const challenge = await challengeOf(auth, alice);
    expect((await verify(auth, challenge, old.code())).status).toBe(401);
    expect((await verify(auth, challenge, old.backupCodes[0] ?? '')).status).toBe(401);
    expect((await verify(auth, challenge, moved.code())).status).toBe(200);
  });
});

describe('a login with a second factor', () => {
  it('stops after the password without tokens or cookies, and goes on with a code', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    const stopped = await auth.logIn(alice.username, PASSWORD);
    expect([stopped.status, stopped.body]).toEqual([
      200,
      { message: 'Second factor required', mfaRequired: true, challenge: expect.stringMatching(/^[\w-]{43}$/) },
    ]);
    expect(stopped.headers.getSetCookie()).toEqual([]);
    const stored = JSON.stringify(await auth.db.collection('challenges').find().toArray());
    expect(stored).not.toContain(stopped.body.challenge);

    const wrong = await verify(auth, stopped.body.challenge, app.code(2));
    expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_second_factor']);
    const done = await verify(auth, stopped.body.challenge, app.code());
    expect(done.body).toEqual({
      message: 'Login successful',
      accessToken: expect.any(String),
      refreshToken: expect.any(String),
      user: { id: alice.userId, username: alice.username, email: alice.email, isVerified: true, role: 'enduser' },
    });
    expect(done.headers.getSetCookie().map((cookie) => cookie.split('=')[0])).toEqual([
      'accessToken',
      'refreshToken',
      'trustedDevice',
    ]);
    expect((await auth.profile(done.body.accessToken)).status).toBe(200);
    clock.advance(30_000);
    const again = await verify(auth, stopped.body.challenge, app.code());
    expect([again.status, again.body.code]).toEqual([401, 'invalid_challenge']);
  });

  it('takes the current code, one step early and one late, and no other', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    clock.advance(300_000);
    const challenge = await challengeOf(auth, alice);
    for (const steps of [-2, 2, 20]) expect((await verify(auth, challenge, app.code(steps))).status).toBe(401);
    expect((await verify(auth, challenge, app.code(-1))).status).toBe(200);
    expect((await verify(auth, await challengeOf(auth, alice), app.code(1))).status).toBe(200);
  });

  it('takes a step once and no older one, across set-up, login and step-up', async () => {
    const alice = await auth.loggedIn();
    await stepUp(auth, alice);
    const token = alice.accessToken;
    const app = appOf(clock, (await auth.post('/api/mfa/totp/enrol', undefined, { token })).body.secret);
    const [first, second] = [app.code(), app.code(1)];
    expect((await auth.post('/api/mfa/totp/confirm', { code: first }, { token })).status).toBe(200);
    const challenge = await challengeOf(auth, alice);
    expect((await verify(auth, challenge, first)).status).toBe(401);
    expect((await stepUp(auth, alice, first)).status).toBe(401);
    expect((await verify(auth, challenge, second)).status).toBe(200);
    expect((await stepUp(auth, alice, second)).status).toBe(401);
    clock.advance(30_000);
    expect((await stepUp(auth, alice, first)).status).toBe(401);
    expect((await stepUp(auth, alice, app.code())).status).toBe(401);
    expect((await stepUp(auth, alice, app.code(1))).status).toBe(200);
  });

  it('takes a backup code once', async () => {
    const alice = await auth.loggedIn();
    const { backupCodes } = await setUp(auth, clock, alice);
    const [code = '', other = ''] = backupCodes;
    expect((await verify(auth, await challengeOf(auth, alice), code)).status).toBe(200);
    const challenge = await challengeOf(auth, alice);
    expect((await verify(auth, challenge, code)).status).toBe(401);
    expect((await verify(auth, challenge, other.toUpperCase().replaceAll('-', ''))).status).toBe(200);
    expect((await auth.call('GET', '/api/mfa', { token: alice.accessToken })).body).toMatchObject({
      backupCodesLeft: 8,
    });
    expect((await auth.auditOf('mfa.backup-code-used')).length).toBeGreaterThanOrEqual(2);
  });

  it('is over after ten minutes, and when the account has changed since the password', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    const expired = await challengeOf(auth, alice);
    clock.advance(600_000);
    expect((await verify(auth, expired, app.code())).body.code).toBe('invalid_challenge');
    const outdated = await challengeOf(auth, alice);
    const body = { currentPassword: PASSWORD, newPassword: 'quite-another-walk' };
    const session = await verify(auth, await challengeOf(auth, alice), app.code());
    clock.advance(30_000);
    expect((await auth.post('/api/change-password', body, { token: session.body.accessToken })).status).toBe(200);
    expect((await verify(auth, outdated, app.code())).body.code).toBe('invalid_challenge');
    expect((await verify(auth, 'made-up', app.code())).body.code).toBe('invalid_challenge');
  });

  it('is not bypassed by a password reset, which ends every session', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    await auth.post('/api/auth/forgot-password', { email: alice.email });
    const token = tokenIn(await mailed(alice.email, 'Choose a new password'));
    const reset = await auth.post('/api/auth/reset-password', { token, newPassword: 'quite-another-walk' });
    expect(reset.body).toEqual({ message: 'Password reset successful' });
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    const login = await auth.logIn(alice.username, 'quite-another-walk');
    expect([login.body.mfaRequired, login.body.accessToken]).toEqual([true, undefined]);
    expect((await verify(auth, login.body.challenge, app.code())).status).toBe(200);
  });

  it('opens nothing with its challenge, neither as bearer nor as refresh token nor as cookie', async () => {
    const alice = await auth.loggedIn();
    await setUp(auth, clock, alice);
    const challenge = await challengeOf(auth, alice);
    expect((await auth.profile(challenge)).body.code).toBe('invalid_token');
    expect((await auth.refresh(challenge)).body.code).toBe('invalid_refresh_token');
    const headers = { cookie: `accessToken=${challenge}` };
    expect((await auth.call('GET', '/api/profile', { headers })).status).toBe(401);
    for (const path of ['/api/auth/mfa/enrol', '/api/auth/reset-password']) {
      const answer = await auth.post(path, { challenge, token: challenge, newPassword: 'quite-another-walk' });
      expect(answer.status).toBeGreaterThanOrEqual(400);
    }
    expect((await auth.post('/api/auth/mfa/enrol', { challenge })).body.code).toBe('invalid_challenge');
  });
});

describe('a stored secret', () => {
  it('does not open in the document of another user', async () => {
    const [alice, bob] = [await auth.loggedIn(), await auth.loggedIn('bob')];
    const app = await setUp(auth, clock, alice);
    await setUp(auth, clock, bob);
    const [hers, his] = [await factorOf(alice.userId), await factorOf(bob.userId)];
    await auth.db
      .collection('second_factors')
      .updateOne({ _id: new ObjectId(his?._id) }, { $set: { 'active.sealedSecret': hers?.['active'].sealedSecret } });
    const answer = await verify(auth, await challengeOf(auth, bob), app.code());
    expect([answer.status, answer.body.accessToken]).toEqual([500, undefined]);
  });

  it('is encrypted anew under the current key when it is used', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    const newer = 'newer:kept-in-the-safe-of-the-house-at-the-lake';
    const env = { ...auth.env, MFA_ENCRYPTION_KEYS: `${newer},older:${auth.env['MFA_ENCRYPTION_KEYS']}` };
    const sealed = async () => String((await factorOf(alice.userId))?.['active'].sealedSecret);
    const [before, kid] = [await sealed(), (await sealed()).split('.')[1] ?? ''];
    const rotated = await Auth.start({
      env: { ...env, MFA_ENCRYPTION_KEYS: env.MFA_ENCRYPTION_KEYS.replace('older:', `${kid}:`) },
      clock,
    });
    try {
      expect((await verify(rotated, await challengeOf(rotated, alice), app.code())).status).toBe(200);
      expect(await sealed()).toMatch(/^v1\.newer\./);
      expect(await sealed()).not.toBe(before);
      clock.advance(30_000);
      expect((await verify(rotated, await challengeOf(rotated, alice), app.code())).status).toBe(200);
    } finally {
      await rotated.stop({ keepDatabase: true });
    }
  });
});
