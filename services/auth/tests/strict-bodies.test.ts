import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Auth, type LoggedIn, newPerson, PASSWORD } from './auth.ts';
import { newWorkspace } from './workspaces/workspace.ts';

let auth: Auth;
let calls: [method: string, path: string, body: Record<string, unknown>, token?: string][];
beforeAll(async () => {
  auth = await Auth.start();
  const [alice, root] = [await auth.loggedIn(), await auth.admin()];
  calls = callsOf(alice, root, await newWorkspace(auth, root));
});
afterAll(() => auth.stop());

function callsOf(alice: LoggedIn, root: LoggedIn, workspaceId: string): typeof calls {
  const [user, workspace] = [`/api/admin/users/${alice.userId}`, `/api/workspaces/${workspaceId}`];
  const { username, email } = newPerson('form');
  return [
    ['POST', '/api/auth/login', { username: alice.username, password: PASSWORD, workspaceId }],
    ['POST', '/api/auth/mfa/verify', { challenge: 'guess', code: '123456' }],
    ['POST', '/api/auth/mfa/enrol', { challenge: 'guess' }],
    ['POST', '/api/auth/select-workspace', { selectionToken: 'guess', workspaceId }],
    ['POST', '/api/auth/verify-email', { token: 'abcdef', email: alice.email }],
    ['POST', '/api/auth/switch-workspace', { workspaceId }, alice.accessToken],
    ['POST', '/api/auth/step-up', { password: PASSWORD, code: '123456' }, alice.accessToken],
    ['POST', '/api/mfa/totp/confirm', { code: '123456' }, alice.accessToken],
    ['PUT', '/api/profile', { username, email, currentPassword: PASSWORD }, alice.accessToken],
    ['POST', '/api/api-keys', { name: 'key', currentPassword: PASSWORD }, alice.accessToken],
    ['POST', '/api/workspaces', { name: 'Mine', description: '' }, root.accessToken],
    ['PATCH', workspace, { name: 'Mine', description: '' }, root.accessToken],
    ['POST', `${workspace}/transfer`, { userId: alice.userId }, root.accessToken],
    ['POST', `${workspace}/invitations`, { email, role: 'enduser' }, root.accessToken],
    ['PUT', `${workspace}/members/${alice.userId}`, { role: 'enduser' }, root.accessToken],
    ['POST', '/api/workspaces/invitations/accept', { token: 'guess' }, alice.accessToken],
    ['PUT', `${user}/status`, { status: 'disabled' }, root.accessToken],
    ['PUT', `${user}/role`, { role: 'supervisor' }, root.accessToken],
    ['POST', `${user}/reset-password`, { newPassword: 'quite-another-walk' }, root.accessToken],
    ['DELETE', '/api/admin/users', { confirmDelete: 'DELETE_ALL_USERS' }, root.accessToken],
  ];
}

const NOT_TEXT = [{ $ne: null }, { $gt: '' }, { $regex: '.*' }, { $where: '1' }, ['a'], [], {}, 42, true];
const FOREIGN = [
  '"_id":"a"',
  '"tenantId":"a"',
  '"ownerId":"a"',
  '"isVerified":true',
  '"tokenVersion":9',
  '"$set":{"role":"admin"}',
  '"__proto__":{"role":"admin"}',
  '"constructor":{"prototype":{}}',
];

/** All that is stored, but what every call leaves. */
async function everything(): Promise<string> {
  const names = ['users', 'sessions', 'workspaces', 'memberships', 'invitations', 'api_keys', 'second_factors'];
  const rows = names.map((name) => auth.db.collection(name).find().sort({ _id: 1 }).toArray());
  return JSON.stringify(await Promise.all(rows));
}

it('take no operator, array, number or truth for a text, and change nothing', async () => {
  const before = await everything();
  for (const [method, path, body, token] of calls) {
    for (const field of Object.keys(body)) {
      for (const value of NOT_TEXT) {
        const answer = await auth.call(method, path, { body: { ...body, [field]: value }, ...(token && { token }) });
        expect([path, field, value, answer.status]).toEqual([path, field, value, 400]);
      }
    }
  }
  expect(await everything()).toBe(before);
});

it('refuse every field that they do not name, and change nothing', async () => {
  const before = await everything();
  for (const [method, path, body, token] of calls) {
    for (const field of FOREIGN) {
      const raw = `${JSON.stringify(body).slice(0, -1)},${field}}`;
      const answer = await auth.call(method, path, { raw, ...(token && { token }) });
      expect([path, field, answer.status]).toEqual([path, field, 400]);
    }
  }
  expect(await everything()).toBe(before);
});

it('widen nothing by operators in queries, paths and headers', async () => {
  const root = await auth.admin();
  const token = root.accessToken;
  const ask = (path: string, headers?: Record<string, string>) =>
    auth.call('GET', path, { token, ...(headers && { headers }) });
  for (const query of [
    'q[$ne]=a',
    'q=a&q=b',
    'role[$gt]=',
    'status=active&status=deleted',
    'cursor[$gt]=',
    'limit=101',
    'sort=_id',
  ])
    expect([query, (await ask(`/api/admin/users?${query}`)).status]).toEqual([query, 400]);
  for (const q of ['.*', '^', '$ne', '{"$gt":""}', '%', '_', '\u{10ffff}'])
    expect([q, (await ask(`/api/admin/users?q=${encodeURIComponent(q)}`)).body.users]).toEqual([q, []]);
  for (const id of ['{"$ne":null}', '[object Object]', 'default:1', '$where'])
    expect([id, (await ask('/api/profile', { 'x-workspace-id': id })).status]).toEqual([id, 404]);
});
