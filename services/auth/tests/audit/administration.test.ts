import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Auth, type LoggedIn, PASSWORD, statuses, times, tokenIn } from '../auth.ts';

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start();
  root = await auth.admin();
});
afterAll(() => auth.stop());

const call = (method: string, path: string, body?: object, token = root.accessToken) =>
  auth.call(method, `/api/admin${path}`, { token, ...(body && { body }) });
const found = async (query: string) => {
  const { body } = await call('GET', `/users?${query}`);
  return body.users.map((user) => Object(user).username as string);
};

describe('the search for users', () => {
  it('finds the beginning of a name or an address, in any spelling, and takes no pattern', async () => {
    const tag = randomUUID().slice(0, 8);
    const names = [`Zoë.${tag}`, `zoeb${tag}`, `yves_${tag}`];
    for (const username of names)
      await call('POST', '/users', {
        username,
        email: `m${tag}-${names.indexOf(username)}@example.test`,
        password: PASSWORD,
        skipVerification: true,
      });
    expect(await found(`q=${encodeURIComponent(`ZOË.${tag.toUpperCase()}`)}`)).toEqual([`Zoë.${tag}`]);
    expect((await found(`q=m${tag}-`)).sort()).toEqual([...names].sort());
    expect(await found(`q=m${tag}-&limit=2`)).toHaveLength(2);
    for (const q of ['.*', '^', `yves.${tag}`, `${tag}`, '[a-z]', '$', `M${tag}-%`])
      expect(await found(`q=${encodeURIComponent(q)}`)).toEqual([]);
    expect(await found(`q=m${tag}-&role=admin`)).toEqual([]);
    expect(await found(`q=m${tag}-&role=user`)).toHaveLength(3);
    expect((await call('GET', '/users?q[$ne]=x')).status).toBe(400);
    expect((await call('GET', '/users?role=owner')).status).toBe(400);
  });

  it('walks through the pages of one search without gap or repetition, and finds deleted ones when asked', async () => {
    const tag = randomUUID().slice(0, 8);
    const users = Array.from({ length: 7 }, (_, n) => ({ username: `p${tag}${n}`, email: `p${tag}${n}@example.test` }));
    await call('POST', '/users/batch', { users });
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body }: Awaited<ReturnType<typeof call>> = await call(
        'GET',
        `/users?q=p${tag}&limit=3${cursor && `&cursor=${cursor}`}`,
      );
      seen.push(...body.users.map((user) => Object(user).username as string));
      cursor = body.nextCursor;
    }
    expect(seen.sort()).toEqual(users.map(({ username }) => username));
    const gone = await auth.member('gone');
    await call('DELETE', `/users/${gone.userId}`);
    expect(await found('status=deleted&limit=100')).toContain(gone.username);
    expect(await found('limit=100')).not.toContain(gone.username);
  });
});

describe('resetting another user’s password', () => {
  it('by a link ends the old password and the sessions, and only the mail opens the account again', async () => {
    const alice = await auth.loggedIn();
    const path = `/users/${alice.userId}/reset-password`;
    const { status, text, body } = await call('POST', path, { sendLink: true });
    expect([status, body]).toEqual([
      200,
      { message: 'User password reset successfully', user: { username: alice.username, email: alice.email } },
    ]);
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(401);
    const token = tokenIn(await auth.mails.waitForMail(alice.email, (mail) => mail.text.includes('token')));
    expect(text).not.toContain(token);
    expect((await auth.post('/api/auth/reset-password', { token, newPassword: 'quite-another-walk' })).status).toBe(
      200,
    );
    expect((await auth.logIn(alice.username, 'quite-another-walk')).status).toBe(200);
    expect(await auth.auditOf('password.set-by-admin')).toMatchObject([
      { targetId: alice.userId, facts: { how: 'link' } },
    ]);
    for (const both of [
      { sendLink: true, generateRandom: true },
      { sendLink: true, newPassword: PASSWORD },
      { sendLink: false },
    ])
      expect((await call('POST', path, both)).status).toBe(400);
  });
});

it('leaves an administrator, and no caller without their own account, under 20 parallel tries of each', async () => {
  const other = await Auth.start();
  try {
    const [one, two] = [await other.admin('one'), await other.admin('two')];
    const as = (actor: LoggedIn) => (method: string, path: string, body?: object) =>
      other.call(method, `/api/admin/users/${path}`, { token: actor.accessToken, ...(body && { body }) });
    const own = await times(20, (n) =>
      n % 2 ? as(one)('DELETE', one.userId) : as(one)('PUT', `${one.userId}/role`, { role: 'enduser' }),
    );
    expect(statuses(own)).toEqual({ 400: 20 });
    await times(20, (n) =>
      n % 2
        ? as(one)('PUT', `${two.userId}/role`, { role: 'enduser' })
        : as(two)('PUT', `${one.userId}/role`, { role: 'enduser' }),
    );
    expect(await other.db.collection('users').countDocuments({ role: 'admin', status: 'active' })).toBe(1);
  } finally {
    await other.stop();
  }
});

// The last, because its mails are worked off one after the other.
describe('a list of new users', () => {
  it('of 500 is worked off within one hash, and tells what became of each line', async () => {
    const tag = randomUUID().slice(0, 8);
    const good = Array.from({ length: 497 }, (_, n) => ({
      username: `b${tag}${n}`,
      email: `b${tag}${n}@example.test`,
    }));
    const users = [
      ...good,
      { ...good[0] },
      { username: 'x', email: 'nonsense' },
      { username: root.username, email: `new${tag}@example.test` },
    ];
    const { status, body } = await call('POST', '/users/batch', { users });
    expect([status, body.summary]).toEqual([201, { total: 500, successful: 497, failed: 3 }]);
    expect(body.results.slice(497)).toMatchObject([
      { success: false, message: 'This name or address is in the list twice' },
      { success: false },
      { success: false, message: 'Username already exists' },
    ]);
    expect(await auth.db.collection('users').countDocuments({ usernameKey: { $regex: `^b${tag}` } })).toBe(497);
    expect(
      (await auth.auditOf('account.created')).filter(({ actorId }) => actorId === root.userId).length,
    ).toBeGreaterThanOrEqual(497);
    expect((await call('POST', '/users/batch', { users: [...users, users[0]] })).status).toBe(400);
  });
});
