import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Auth, codeIn, type LoggedIn, newPerson, PASSWORD, times, tokenIn } from './auth.ts';

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start();
});
beforeEach(async () => {
  root = await auth.admin();
});
afterAll(() => auth.stop());

const as = (person: LoggedIn) => (method: string, path: string, body?: unknown) =>
  auth.call(method, `/api/admin${path}`, { token: person.accessToken, ...(body !== undefined && { body }) });

describe('reading accounts', () => {
  it('is for administrators; reports are for supervisors too; the dashboard is for everybody', async () => {
    const alice = await auth.loggedIn();
    for (const path of ['/users', `/users/${root.userId}`, `/users/by-email/${root.email}`]) {
      expect((await as(alice)('GET', path)).status).toBe(403);
      expect((await auth.call('GET', `/api/admin${path}`)).status).toBe(401);
    }
    expect((await as(alice)('GET', '/dashboard')).body).toEqual({
      message: 'User dashboard accessed successfully',
      role: 'enduser',
    });
    await as(root)('PUT', `/users/${alice.userId}/role`, { role: 'supervisor' });
    const supervisor = await auth.session(alice);
    expect((await as(supervisor)('GET', '/reports')).body).toEqual({
      message: 'Reports accessed successfully',
      role: 'supervisor',
    });
    expect((await as(supervisor)('GET', '/users')).status).toBe(403);
  });

  it('shows one account in snake_case by id and in camelCase by encoded address', async () => {
    const alice = await auth.member();
    const byId = await as(root)('GET', `/users/${alice.userId}`);
    expect(byId.body.user).toEqual({
      user_id: alice.userId,
      username: alice.username,
      email: alice.email,
      role: 'enduser',
      is_verified: true,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    const byEmail = await as(root)('GET', `/users/by-email/${encodeURIComponent(alice.email.toUpperCase())}`);
    expect(byEmail.body.user).toMatchObject({ _id: alice.userId, isVerified: true, role: 'enduser' });
    const missing = await as(root)('GET', '/users/by-email/nobody%40example.test');
    expect([missing.status, missing.body.error]).toEqual([404, 'User not found']);
    expect((await as(root)('GET', '/users/42')).body.error).toBe('Invalid user ID format');
  });

  it('pages through all accounts once, without a password or a hash', async () => {
    await times(5, () => auth.signUp(newPerson('listed')));
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { body, text }: Awaited<ReturnType<typeof auth.call>> = await as(root)(
        'GET',
        `/users?limit=2${cursor && `&cursor=${cursor}`}`,
      );
      expect(text).not.toMatch(/password|\$2b\$/i);
      seen.push(...body.users.map(({ _id }: { _id: string }) => _id));
      cursor = body.nextCursor;
    }
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen).toHaveLength(await auth.db.collection('users').countDocuments({ emailKey: { $exists: true } }));
    expect((await as(root)('GET', '/users?limit=101')).status).toBe(400);
    expect((await as(root)('GET', '/users?cursor=nonsense')).status).toBe(400);
  });
});

describe('creating accounts', () => {
  it('makes one that is ready, or one that has to prove its address', async () => {
    const [ready, mailed] = [newPerson('ready'), newPerson('mailed')];
    const form = ({ username, email }: { username: string; email: string }) => ({
      username,
      email,
      password: PASSWORD,
      role: 'user',
    });
    const first = await as(root)('POST', '/users', { ...form(ready), skipVerification: true });
    expect([first.status, first.body.message]).toEqual([
      201,
      'User created successfully and is ready to use the system.',
    ]);
    expect((await auth.logIn(ready.username, PASSWORD)).body.user.role).toBe('enduser');

    const second = await as(root)('POST', '/users', form(mailed));
    expect(second.body.message).toBe('User created successfully. Verification email has been sent.');
    expect((await auth.logIn(mailed.username, PASSWORD)).status).toBe(401);
    await auth.post('/api/auth/verify-email', {
      token: codeIn(await auth.mails.waitForMail(mailed.email)),
      email: mailed.email,
    });
    expect((await auth.logIn(mailed.username, PASSWORD)).status).toBe(200);
  });

  it('refuses administrators, duplicates, weak passwords and unknown roles', async () => {
    const alice = await auth.member();
    const form = { username: newPerson('x').username, email: newPerson('x').email, password: PASSWORD };
    const refusal = async (changes: object) => {
      const { status, body } = await as(root)('POST', '/users', { ...form, ...changes });
      return [status, body.error];
    };
    expect(await refusal({ role: 'admin' })).toEqual([403, 'Creating admin users is restricted']);
    expect(await refusal({ email: alice.email.toUpperCase() })).toEqual([400, 'Email already exists']);
    expect(await refusal({ username: alice.username.toUpperCase() })).toEqual([400, 'Username already exists']);
    expect(await refusal({ password: 'iloveyou2' })).toEqual([400, 'This password is among the most common ones']);
    expect((await refusal({ role: 'owner' }))[0]).toBe(400);
    expect(await refusal({ email: undefined })).toEqual([400, 'Missing required fields']);
  });

  it('makes many, judges each alone, and mails everybody a link to choose a password', async () => {
    const [good, alice] = [newPerson('good'), await auth.member()];
    const users = [
      { username: good.username, email: good.email },
      { username: newPerson('bad').username, email: 'nonsense' },
      { username: alice.username, email: newPerson('other').email },
      { username: newPerson('boss').username, email: newPerson('boss').email, role: 'admin' },
    ];
    const { status, body } = await as(root)('POST', '/users/batch', { users });
    expect([status, body.message, body.summary]).toEqual([
      201,
      '1 of 4 users created successfully',
      { total: 4, successful: 1, failed: 3 },
    ]);
    expect(body.results.map(({ success }: { success: boolean }) => success)).toEqual([true, false, false, false]);
    const token = tokenIn(await auth.mails.waitForMail(good.email));
    expect((await auth.post('/api/auth/reset-password', { token, newPassword: PASSWORD })).status).toBe(200);
    expect((await auth.logIn(good.username, PASSWORD)).status).toBe(200);
    expect((await as(root)('POST', '/users/batch', { users: [] })).body.error).toBe(
      'A non-empty array of users is required',
    );
  });
});

describe('changing roles', () => {
  it('ends the sessions of the user, whose next login has the new role', async () => {
    const alice = await auth.loggedIn();
    const { body } = await as(root)('PUT', `/users/${alice.userId}/role`, { role: 'supervisor' });
    expect(body.user).toMatchObject({ _id: alice.userId, role: 'supervisor' });
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    expect((await auth.logIn(alice.username, PASSWORD)).body.user.role).toBe('supervisor');
  });

  it('is refused for oneself and for unknown users', async () => {
    expect((await as(root)('PUT', `/users/${root.userId}/role`, { role: 'enduser' })).body.code).toBe('own_account');
    expect((await as(root)('PUT', `/users/${'0'.repeat(24)}/role`, { role: 'enduser' })).status).toBe(404);
    expect((await as(root)('PUT', `/users/${root.userId}/role`, { role: 'owner' })).status).toBe(400);
  });

  it('leaves an administrator when all of them demote each other at the same time', async () => {
    const other = await Auth.start();
    try {
      const admins = [await other.admin('a'), await other.admin('b'), await other.admin('c')];
      const pairs = admins.flatMap((actor) =>
        admins.filter((target) => target !== actor).map((target) => ({ actor, target })),
      );
      await Promise.all(
        [...pairs, ...pairs, ...pairs].map(({ actor, target }) =>
          other.call('PUT', `/api/admin/users/${target.userId}/role`, {
            body: { role: 'enduser' },
            token: actor.accessToken,
          }),
        ),
      );
      expect(await other.db.collection('users').countDocuments({ role: 'admin' })).toBeGreaterThanOrEqual(1);
    } finally {
      await other.stop();
    }
  });
});

describe('deleting accounts', () => {
  it('ends sessions at once, keeps the record, and gives name and address free', async () => {
    const alice = await auth.loggedIn();
    const answer = await as(root)('DELETE', `/users/${alice.userId}`);
    expect([answer.status, answer.body]).toEqual([
      200,
      { message: 'User deleted successfully', user: { username: alice.username, email: alice.email, role: 'enduser' } },
    ]);
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(401);
    expect((await as(root)('DELETE', `/users/${alice.userId}`)).status).toBe(404);
    expect(await auth.db.collection('users').countDocuments({ username: alice.username, status: 'deleted' })).toBe(1);
    expect((await auth.signUp(alice)).status).toBe(201);
  });

  it('is refused for oneself and for other administrators', async () => {
    const other = await auth.admin('other');
    const own = await as(root)('DELETE', `/users/${root.userId}`);
    expect([own.status, own.body.error]).toEqual([400, 'Cannot delete your own account']);
    const theirs = await as(root)('DELETE', `/users/${other.userId}`);
    expect([theirs.status, theirs.body.error]).toEqual([403, 'Cannot delete another admin user']);
  });

  it('of everybody needs a confirmation, and keeps administrators unless told otherwise, and the caller always', async () => {
    const other = await Auth.start();
    try {
      const [boss, second, alice] = [await other.admin('boss'), await other.admin('second'), await other.loggedIn()];
      const remove = (body?: object) =>
        other.call('DELETE', '/api/admin/users', { token: boss.accessToken, ...(body && { body }) });
      for (const body of [undefined, {}, { confirmDelete: 'yes' }]) {
        const refused = await remove(body);
        expect([refused.status, refused.body.error, typeof refused.body.message]).toEqual([
          400,
          'Confirmation required',
          'string',
        ]);
      }
      const confirmDelete = 'DELETE_ALL_USERS';
      expect((await remove({ confirmDelete })).body).toEqual({
        message: '1 users deleted successfully',
        preservedAdmins: true,
      });
      expect((await other.profile(alice.accessToken)).status).toBe(401);
      expect((await other.profile(second.accessToken)).status).toBe(200);
      expect((await remove({ confirmDelete, preserveAdmins: false })).body).toEqual({
        message: '1 users deleted successfully',
        preservedAdmins: false,
      });
      expect((await other.profile(second.accessToken)).status).toBe(401);
      expect((await other.profile(boss.accessToken)).status).toBe(200);
    } finally {
      await other.stop();
    }
  });
});

describe('resetting another user’s password', () => {
  it('sets the given one, or a generated one that is shown once, and ends the sessions', async () => {
    const alice = await auth.loggedIn();
    const path = `/users/${alice.userId}/reset-password`;
    const set = await as(root)('POST', path, { newPassword: 'quite-another-walk' });
    expect(set.body).toEqual({
      message: 'User password reset successfully',
      user: { username: alice.username, email: alice.email },
    });
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    expect((await auth.logIn(alice.username, 'quite-another-walk')).status).toBe(200);
    const generated = await as(root)('POST', path, { generateRandom: true });
    expect((await auth.logIn(alice.username, generated.body.generatedPassword)).status).toBe(200);
    for (const body of [{}, { newPassword: 'password' }, { newPassword: PASSWORD, generateRandom: true }]) {
      expect((await as(root)('POST', path, body)).status).toBe(400);
    }
    expect((await as(root)('POST', `/users/${'0'.repeat(24)}/reset-password`, { generateRandom: true })).status).toBe(
      404,
    );
  });
});
