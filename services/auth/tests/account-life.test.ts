import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Auth, codeIn, newPerson, PASSWORD, statuses, tokenIn } from './auth.ts';

let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start();
});
afterAll(() => auth.stop());

describe('the life of an account', () => {
  it('leads from sign-up over the mailed code to a session, and refuses before', async () => {
    const alice = newPerson('alice');
    const signedUp = await auth.signUp(alice);
    expect(signedUp.status).toBe(201);
    expect(signedUp.body).toEqual({
      message: 'User registered successfully. Please verify your email.',
      userId: expect.stringMatching(/^[0-9a-f]{24}$/),
    });
    const early = await auth.logIn(alice.username, PASSWORD);
    expect([early.status, early.body.code, early.body.error]).toEqual([
      401,
      'email_not_verified',
      'Email not verified',
    ]);

    const mail = await auth.mails.waitForMail(alice.email);
    expect(mail.links.every((link) => link.startsWith('https://chat.example.test/'))).toBe(true);
    const verified = await auth.post('/api/auth/verify-email', { token: codeIn(mail) });
    expect([verified.status, verified.body]).toEqual([200, { message: 'Email verified successfully' }]);
    expect((await auth.post('/api/auth/verify-email', { token: codeIn(mail) })).status).toBe(400);

    const loggedIn = await auth.logIn(alice.email.toUpperCase(), PASSWORD);
    expect(loggedIn.status).toBe(200);
    expect(loggedIn.body).toEqual({
      message: 'Login successful',
      accessToken: expect.any(String),
      refreshToken: expect.any(String),
      user: {
        id: signedUp.body.userId,
        username: alice.username,
        email: alice.email,
        isVerified: true,
        role: 'enduser',
      },
    });
    const profile = await auth.profile(loggedIn.body.accessToken);
    expect(profile.body.user).toEqual({
      _id: signedUp.body.userId,
      username: alice.username,
      email: alice.email,
      isVerified: true,
      role: 'enduser',
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
      __v: expect.any(Number),
    });
    const dashboard = await auth.call('GET', '/api/dashboard', { token: loggedIn.body.accessToken });
    expect(dashboard.body.user).toEqual({
      userId: signedUp.body.userId,
      username: alice.username,
      role: 'enduser',
    });
    expect((await auth.call('GET', '/api/admin/reports', { token: loggedIn.body.accessToken })).status).toBe(403);
  });

  it('gives the access token the claims that the other services read', async () => {
    const alice = await auth.loggedIn();
    const [header, payload] = alice.accessToken.split('.').map((part) => Buffer.from(part, 'base64url').toString());
    expect(JSON.parse(header ?? '')).toMatchObject({ alg: 'HS256', kid: expect.any(String) });
    const claims = JSON.parse(payload ?? '');
    expect(claims).toEqual({
      sub: alice.userId,
      username: alice.username,
      email: alice.email,
      role: 'enduser',
      type: 'access',
      iat: expect.any(Number),
      exp: claims.iat + 15 * 60,
      jti: expect.any(String),
      sid: expect.any(String),
      ver: 1,
      wid: 'default',
      wrole: 'enduser',
      iss: 'tollgate',
      aud: ['auth', 'chat-proxy', 'accounting'],
    });
  });

  it('sets httpOnly, strict cookies, the refresh one for its own path, and takes the access cookie from allowed pages only', async () => {
    const alice = await auth.member();
    const { headers, body } = await auth.logIn(alice.username, PASSWORD);
    const [access, refresh] = headers.getSetCookie();
    expect(access).toMatch(/^accessToken=[^;]+; Max-Age=900; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(refresh).toMatch(
      /^refreshToken=[^;]+; Max-Age=604800; Path=\/api\/auth\/refresh; HttpOnly; SameSite=Strict$/,
    );
    const cookie = `accessToken=${body.accessToken}`;
    expect((await auth.call('GET', '/api/profile', { headers: { cookie } })).status).toBe(200);
    const change = (origin: string) => auth.call('PUT', '/api/profile', { body: {}, headers: { cookie, origin } });
    expect((await change('https://evil.example.test')).body.code).toBe('csrf_rejected');
    expect((await change('https://chat.example.test')).status).toBe(200);
    const renew = (origin: string) =>
      auth.post('/api/auth/refresh', undefined, {
        headers: { cookie: `refreshToken=${body.refreshToken}`, origin },
      });
    expect((await renew('https://evil.example.test')).status).toBe(403);
    expect((await renew('https://chat.example.test')).status).toBe(200);
  });

  it('drops extra e-mail and role on login, drops a role at sign-up, and refuses every other unknown field', async () => {
    const alice = await auth.member();
    const login = { username: alice.username, password: PASSWORD };
    expect((await auth.post('/api/auth/login', { ...login, email: 'x', role: 'admin' })).body.user.role).toBe(
      'enduser',
    );
    expect((await auth.post('/api/auth/login', { ...login, tenant: 'x' })).status).toBe(400);
    const bob = newPerson('bob');
    const form = { username: bob.username, email: bob.email, password: PASSWORD };
    const accounts = await auth.db.collection('users').countDocuments();
    const fields: object[] = [
      { isVerified: true },
      { credits: 5 },
      { tenantId: 'x' },
      { _id: 'x' },
      { $set: {} },
      { constructor: {} },
    ];
    for (const field of fields) expect((await auth.post('/api/auth/signup', { ...form, ...field })).status).toBe(400);
    expect(
      (
        await auth.post('/api/auth/signup', undefined, {
          raw: `{"__proto__":{"role":"admin"},${JSON.stringify(form).slice(1)}`,
        })
      ).status,
    ).toBe(400);
    expect(await auth.db.collection('users').countDocuments()).toBe(accounts);
    expect((await auth.post('/api/auth/signup', { ...form, role: 'admin' })).status).toBe(201);
    expect(await auth.db.collection('users').findOne({ usernameKey: bob.username })).toMatchObject({ role: 'enduser' });
  });
});

describe('a password', () => {
  it('is changed with the current one; other sessions end, this one and the new password go on', async () => {
    const alice = await auth.loggedIn();
    const other = await auth.session(alice);
    const change = (currentPassword: string, newPassword: string) =>
      auth.post('/api/change-password', { currentPassword, newPassword }, { token: alice.accessToken });
    expect((await change('not-the-password', 'quite-another-walk')).body.error).toBe('Current password is incorrect');
    expect((await change(PASSWORD, '123456789')).body.code).toBe('weak_password');
    expect((await change(PASSWORD, alice.username)).body.code).toBe('weak_password');
    expect((await change(PASSWORD, 'quite-another-walk')).body).toEqual({ message: 'Password changed successfully' });

    expect((await auth.profile(other.accessToken)).status).toBe(401);
    expect((await auth.refresh(other.refreshToken)).status).toBe(401);
    expect((await auth.profile(alice.accessToken)).status).toBe(200);
    expect((await auth.refresh(alice.refreshToken)).status).toBe(200);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(401);
    expect((await auth.logIn(alice.username, 'quite-another-walk')).status).toBe(200);
    expect((await auth.mails.waitForMail(alice.email, (mail) => mail.subject.includes('changed'))).text).toContain(
      alice.username,
    );
  });

  it('is reset once with the mailed token, which ends every session', async () => {
    const alice = await auth.loggedIn();
    expect((await auth.post('/api/auth/forgot-password', { email: alice.email })).status).toBe(200);
    const token = tokenIn(await auth.mails.waitForMail(alice.email, (mail) => mail.text.includes('token')));
    const reset = (newPassword: string) => auth.post('/api/auth/reset-password', { token, newPassword });
    expect((await reset('password')).body.code).toBe('weak_password');
    expect((await reset('quite-another-walk')).body).toEqual({ message: 'Password reset successful' });
    expect((await reset('a-third-walk-at-night')).body).toMatchObject({
      code: 'invalid_code',
      error: 'Password reset failed',
    });
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    expect((await auth.logIn(alice.username, 'quite-another-walk')).status).toBe(200);
  });

  it('is reset by one of 20 simultaneous submissions of one token', async () => {
    const alice = await auth.member();
    await auth.post('/api/auth/forgot-password', { email: alice.email });
    const token = tokenIn(await auth.mails.waitForMail(alice.email, (mail) => mail.text.includes('token')));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        auth.post('/api/auth/reset-password', { token, newPassword: `walk-number-${index}-home` }),
      ),
    );
    expect(statuses(answers)).toEqual({ 200: 1, 400: 19 });
    const winner = answers.findIndex(({ status }) => status === 200);
    expect((await auth.logIn(alice.username, `walk-number-${winner}-home`)).status).toBe(200);
    expect(await auth.auditOf('password.reset')).toContainEqual(expect.objectContaining({ action: 'password.reset' }));
  });
});

describe('a changed profile', () => {
  it('shows a new name at once and refuses a taken one in any spelling', async () => {
    const [alice, bob] = [await auth.loggedIn(), await auth.member('bob')];
    const rename = (username: string) =>
      auth.call('PUT', '/api/profile', { body: { username }, token: alice.accessToken });
    expect((await rename(bob.username.toUpperCase())).body).toMatchObject({
      error: 'Username already taken',
      status: 400,
    });
    expect((await rename(`${alice.username}-new`)).body.user.username).toBe(`${alice.username}-new`);
    expect((await auth.logIn(`${alice.username}-NEW`, PASSWORD)).status).toBe(200);
  });

  it('moves to a new address only with the password and the token mailed to it, and tells the old address', async () => {
    const alice = await auth.loggedIn();
    const email = newPerson('moved').email;
    const change = (body: object) => auth.call('PUT', '/api/profile', { body, token: alice.accessToken });
    expect((await change({ email })).status).toBe(400);
    expect((await change({ email, currentPassword: 'not-the-password' })).body.code).toBe('wrong_password');
    expect((await change({ email, currentPassword: PASSWORD })).body.user).toMatchObject({
      email: alice.email,
      pendingEmail: email,
    });
    expect((await auth.logIn(email, PASSWORD)).status).toBe(401);

    const token = tokenIn(await auth.mails.waitForMail(email));
    expect((await auth.post('/api/auth/verify-email', { token })).status).toBe(200);
    expect((await auth.logIn(email, PASSWORD)).body.user.email).toBe(email);
    expect((await auth.logIn(alice.email, PASSWORD)).status).toBe(401);
    expect(
      (await auth.mails.waitForMail(alice.email, (mail) => mail.subject.includes('address was changed'))).text,
    ).toContain(email);
  });

  it('does not tell that a wanted address belongs to somebody else; its owner hears of it', async () => {
    const [alice, bob] = [await auth.loggedIn(), await auth.member('bob')];
    const body = { email: bob.email, currentPassword: PASSWORD };
    expect((await auth.call('PUT', '/api/profile', { body, token: alice.accessToken })).status).toBe(200);
    await auth.mails.waitForMail(bob.email, (mail) => mail.subject === 'You already have an account');
    expect((await auth.logIn(bob.email, PASSWORD)).body.user.username).toBe(bob.username);
  });
});

describe('GET /api/auth/users/:userId', () => {
  it('needs a token, shows that a user exists, and more to an administrator', async () => {
    const [alice, bob, root] = [await auth.loggedIn(), await auth.member('bob'), await auth.admin()];
    const path = `/api/auth/users/${bob.userId}`;
    expect((await auth.call('GET', path)).status).toBe(401);
    const existence = { _id: bob.userId, username: bob.username, active: true, deleted: false };
    expect((await auth.call('GET', path, { token: alice.accessToken })).body).toEqual(existence);
    expect((await auth.call('GET', path, { token: root.accessToken })).body).toMatchObject({
      ...existence,
      email: bob.email,
      role: 'enduser',
      isVerified: true,
    });
    const broken = await auth.call('GET', '/api/auth/users/42', { token: alice.accessToken });
    expect([broken.status, broken.body.error]).toEqual([400, 'Invalid user ID format']);
    const missing = await auth.call('GET', `/api/auth/users/${'0'.repeat(24)}`, { token: alice.accessToken });
    expect([missing.status, missing.body.error]).toEqual([404, 'User not found']);
  });
});
