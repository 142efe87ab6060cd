import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, PASSWORD } from '../auth.ts';
import { Keys, serviceSecretNamed } from './keys.ts';

const SECOND = 1000;
const DAY = 86_400 * SECOND;
const clock = manualClock();

let auth: Auth;
let keys: Keys;
beforeAll(async () => {
  auth = await Auth.start({ clock, env: serviceSecretNamed(randomBytes(36).toString('base64url')) });
  keys = new Keys(auth, clock);
});
afterAll(() => auth.stop());

const at = (ms: number) => new Date(clock.now() + ms).toISOString();
const revocations = (keyId: string) => auth.db.collection('revocations').countDocuments({ 'entry.keyId': keyId });

describe('making a key', () => {
  it('shows it once, stores a hash, tells the owner by mail and writes it down without the secret', async () => {
    const alice = await auth.loggedIn();
    const { id, text, view } = await keys.made(alice, { name: ' build server ', scopes: ['chat:use', 'profile:read'] });
    expect(text).toMatch(new RegExp(`^tg_${id}_[0-9A-Za-z]{49}$`));
    expect(view).toEqual({
      id,
      prefix: `tg_${id}`,
      name: 'build server',
      scopes: ['chat:use', 'profile:read'],
      workspaceId: 'default',
      status: 'active',
      limits: null,
      createdAt: at(0),
      expiresAt: at(90 * DAY),
      lastUsedAt: null,
      lastUsedIp: null,
      previousSecretUntil: null,
    });
    expect(await keys.list(alice)).toEqual([view]);
    await auth.mails.waitForMail(alice.email, ({ subject }) => subject === 'An API key was made');
    const [line] = await auth.auditOf('api-key.created');
    expect(line).toMatchObject({ facts: { keyId: id, name: 'build server', scopes: 'chat:use profile:read' } });
    const secret = text.split('_')[2] ?? 'nothing';
    for (const collection of await auth.db.collections())
      expect(JSON.stringify(await collection.find().toArray())).not.toContain(secret);
    expect(JSON.stringify(auth.mails.mails())).not.toContain(secret);
  });

  it('asks for the password, whose wrong guesses are counted', async () => {
    const limited = await Auth.start({ env: { RATE_LIMITS: 'true' } });
    try {
      const alice = await limited.loggedIn();
      const wrong = () => new Keys(limited).make(alice, { currentPassword: 'not the password' });
      for (let guess = 0; guess < 5; guess += 1) expect((await wrong()).body.code).toBe('wrong_password');
      expect((await wrong()).status).toBe(429);
      expect((await new Keys(limited).make(alice)).status).toBe(429);
      expect(await limited.db.collection('api_keys').countDocuments()).toBe(0);
    } finally {
      await limited.stop();
    }
  });

  it('gives no scope that the maker does not have', async () => {
    const alice = await auth.loggedIn();
    const refused = await keys.make(alice, { scopes: ['chat:use', 'credits:allocate'] });
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden']);
    for (const scope of ['profile:own', 'api-keys:own', 'users:write', 'holds:write', '*', ''])
      expect((await keys.make(alice, { scopes: [scope] })).status).toBe(400);
    expect((await keys.make(await auth.admin(), { scopes: ['credits:allocate', 'users:read'] })).status).toBe(201);
    expect(await keys.list(alice)).toEqual([]);
  });

  it.each([
    ['no scope', { scopes: [] }],
    ['a scope twice', { scopes: ['chat:use', 'chat:use'] }],
    ['no name', { name: ' ' }],
    ['a name of several lines', { name: 'a\nb' }],
    ['a long name', { name: 'n'.repeat(101) }],
    ['no password', { currentPassword: '' }],
    ['an end in the past', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['an end beyond a year', { expiresAt: '2099-01-01T00:00:00Z' }],
    ['an end that is no time', { expiresAt: 'never' }],
    ['a limit of nothing', { limits: { parallel: 0 } }],
    ['a limit in text', { limits: { requestsPerMinute: '5' } }],
    ['a limit of another kind', { limits: { requestsPerHour: 5 } }],
    ['limits, where accounting is not known', { limits: { parallel: 1 } }],
    ['an owner', { userId: '0123456789abcdef01234567' }],
    ['an operator', { name: { $ne: null } }],
  ])('refuses %s with 400 and makes nothing', async (_what, more) => {
    const alice = await auth.loggedIn();
    expect((await keys.make(alice, more)).status).toBe(400);
    expect(await keys.list(alice)).toEqual([]);
  });

  it('is for sessions: no key makes, changes, rotates, deletes or sees keys, or touches the account', async () => {
    const admin = await auth.admin();
    const { id, text } = await keys.made(admin, { scopes: ['profile:read', 'users:read', 'credits:allocate'] });
    const holder = { accessToken: text };
    const refusals = await Promise.all([
      keys.make(holder),
      keys.rotate(holder, id),
      keys.change(holder, id, { disabled: true }),
      keys.delete(holder, id),
      auth.call('GET', '/api/api-keys', { token: text }),
      auth.call('PUT', '/api/profile', { token: text, body: { username: 'somebody-else' } }),
      auth.post(
        '/api/change-password',
        { currentPassword: PASSWORD, newPassword: 'another-long-walk' },
        { token: text },
      ),
      auth.post('/api/auth/logout-all', undefined, { token: text }),
      auth.call('GET', `/api/admin/users/${admin.userId}/api-keys`, { token: text }),
      auth.call('PUT', `/api/admin/users/${admin.userId}/role`, { token: text, body: { role: 'enduser' } }),
    ]);
    for (const { status, body } of refusals) expect([status, body.code]).toEqual([403, 'insufficient_scope']);
    expect(refusals[0]?.headers.get('www-authenticate')).toBe(
      'Bearer error="insufficient_scope", scope="api-keys:own"',
    );
  });
});

describe('using a key', () => {
  it('works the same through every header, for what its scopes name', async () => {
    const alice = await auth.loggedIn();
    const { text } = await keys.made(alice);
    const read = (headers: Record<string, string>) => auth.call('GET', '/api/profile', { headers });
    const answers = await Promise.all([
      read({ authorization: `Bearer ${text}` }),
      read({ authorization: `bearer ${text}` }),
      read({ 'x-api-key': text }),
      read({ 'api-key': text }),
      read({ 'x-api-key': text, authorization: `Bearer ${text}` }),
    ]);
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
    expect(answers[0]?.body.user).toMatchObject({ _id: alice.userId });
    const dashboard = await auth.call('GET', '/api/dashboard', { headers: { 'x-api-key': text } });
    expect([dashboard.status, dashboard.body.code]).toEqual([403, 'insufficient_scope']);
  });

  it('notes when and from where, at most once a minute', async () => {
    const alice = await auth.loggedIn();
    const { text } = await keys.made(alice);
    const noted = async () => (await keys.list(alice)).map(({ lastUsedAt, lastUsedIp }) => [lastUsedAt, lastUsedIp])[0];
    await keys.verify(text, '192.0.2.1');
    const first = at(0);
    clock.advance(59 * SECOND);
    await keys.verify(text, '192.0.2.2');
    expect(await noted()).toEqual([first, '192.0.2.1']);
    clock.advance(SECOND);
    await keys.verify(text);
    expect(await noted()).toEqual([at(0), '192.0.2.1']);
    clock.advance(60 * SECOND);
    await keys.use(text);
    expect(await noted()).toEqual([at(0), expect.stringMatching(/127\.0\.0\.1$/)]);
  });

  it('ends with its time, with its owner, and with the rights of its owner', async () => {
    const admin = await auth.admin();
    const short = await keys.made(admin, { expiresAt: at(DAY) });
    clock.advance(DAY - 1);
    expect(await keys.use(short.text)).toBe(200);
    clock.advance(1);
    expect(await keys.use(short.text)).toBe(401);
    const root = await auth.session(admin);
    expect(await keys.list(root)).toMatchObject([{ id: short.id, status: 'expired' }]);

    const other = await auth.admin('second');
    const staff = await keys.made(other, { scopes: ['profile:read', 'users:read', 'credits:read-any'] });
    const setRole = (role: string) =>
      auth.call('PUT', `/api/admin/users/${other.userId}/role`, { token: root.accessToken, body: { role } });
    const listUsers = async () => (await auth.call('GET', '/api/admin/users', { token: staff.text })).status;
    expect(await listUsers()).toBe(200);
    await setRole('supervisor');
    expect(await listUsers()).toBe(403);
    expect((await keys.verify(staff.text)).body['scopes']).toEqual(['profile:read', 'credits:read-any']);
    await setRole('enduser');
    expect((await keys.verify(staff.text)).body['scopes']).toEqual(['profile:read']);
    await auth.call('DELETE', `/api/admin/users/${other.userId}`, { token: root.accessToken });
    expect([await keys.use(staff.text), (await keys.verify(staff.text)).status]).toEqual([401, 404]);
  });

  it('tells a service who it is, and refuses every other key with one and the same answer', async () => {
    const alice = await auth.loggedIn();
    const { id, text } = await keys.made(alice, { scopes: ['chat:use'] });
    expect((await keys.verify(text)).body).toEqual({
      keyId: id,
      user: { id: alice.userId, username: alice.username, email: alice.email, role: 'enduser' },
      workspaceId: 'default',
      workspaceRole: 'enduser',
      scopes: ['chat:use'],
      limits: null,
      expiresAt: at(90 * DAY),
      verifiedAt: at(0),
      version: 1,
    });
    const disabled = await keys.made(alice);
    await keys.change(alice, disabled.id, { disabled: true });
    const deleted = await keys.made(alice);
    await keys.delete(alice, deleted.id);
    const { id: otherId } = await keys.made(alice);
    const answers = await Promise.all(
      [
        disabled.text,
        deleted.text,
        `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`,
        text.replace(id, otherId),
        `${text} `,
        text.toUpperCase(),
        'tg_',
        '',
        alice.accessToken.slice(0, 200),
      ].map((key) => keys.verify(key)),
    );
    for (const { status, body } of answers) {
      expect(status).toBe(404);
      expect({ ...body, requestId: '' }).toEqual({ ...answers[0]?.body, requestId: '' });
    }
    expect((await auth.post('/api/internal/api-keys/verify', { key: text }, { token: alice.accessToken })).status).toBe(
      403,
    );
  });
});

describe('changing a key', () => {
  it('renames, disables and enables it, and tells the other services when it ends', async () => {
    const alice = await auth.loggedIn();
    const { id, text } = await keys.made(alice);
    expect((await keys.change(alice, id, { name: 'laptop' })).body.apiKey).toMatchObject({ name: 'laptop' });
    expect(await revocations(id)).toBe(0);
    expect((await keys.change(alice, id, { disabled: true })).body.apiKey).toMatchObject({ status: 'disabled' });
    expect([await keys.use(text), await revocations(id)]).toEqual([401, 1]);
    await keys.change(alice, id, { disabled: false });
    expect(await keys.use(text)).toBe(200);
    expect((await auth.auditOf('api-key.changed')).filter(({ facts }) => Object(facts).keyId === id)).toHaveLength(3);
    for (const body of [{}, { scopes: ['chat:use'] }, { disabled: 'yes' }, { expiresAt: at(DAY) }])
      expect((await keys.change(alice, id, body)).status).toBe(400);
    clock.advance(1);
    await keys.delete(alice, id);
    expect([await keys.use(text), await revocations(id), (await keys.delete(alice, id)).status]).toEqual([401, 2, 404]);
    expect(await auth.auditOf('api-key.deleted')).toContainEqual(
      expect.objectContaining({ facts: { keyId: id, name: 'laptop' } }),
    );
  });

  it('is for its owner alone: to others it does not exist', async () => {
    const [alice, bob] = [await auth.loggedIn(), await auth.loggedIn('bob')];
    const { id, text } = await keys.made(alice);
    const answers = await Promise.all([
      keys.change(bob, id, { disabled: true }),
      keys.rotate(bob, id),
      keys.delete(bob, id),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(await keys.use(text)).toBe(200);
  });

  it('is possible for administrators: they see keys of others, and switch them off for good', async () => {
    const [admin, alice] = [await auth.admin(), await auth.loggedIn()];
    const { id, text } = await keys.made(alice);
    const path = `/api/admin/users/${alice.userId}/api-keys`;
    const listed = await auth.call('GET', path, { token: admin.accessToken });
    expect(JSON.parse(listed.text)).toMatchObject({ apiKeys: [{ id, status: 'active' }] });
    expect((await auth.call('DELETE', `${path}/${id}`, { token: alice.accessToken })).status).toBe(403);
    expect((await auth.call('DELETE', `${path}/${id}`, { token: admin.accessToken })).status).toBe(200);
    expect([await keys.use(text), await revocations(id)]).toEqual([401, 1]);
    for (const disabled of [false, true])
      expect((await keys.change(alice, id, { disabled })).body.code).toBe('forbidden');
    expect((await keys.list(alice))[0]).toMatchObject({ status: 'disabled' });
    expect(await auth.auditOf('api-key.disabled-by-admin')).toMatchObject([{ facts: { keyId: id } }]);
    const elsewhere = `/api/admin/users/${admin.userId}/api-keys/${id}`;
    expect((await auth.call('DELETE', elsewhere, { token: admin.accessToken })).status).toBe(404);
    const nobody = await auth.call('GET', `/api/admin/users/${'0'.repeat(24)}/api-keys`, { token: admin.accessToken });
    expect(nobody.status).toBe(404);
  });
});
