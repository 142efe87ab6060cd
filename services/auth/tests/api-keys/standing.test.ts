import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Auth, PASSWORD } from '../auth.ts';
import { as, inWorkspace, join, newWorkspace } from '../workspaces/workspace.ts';
import { Keys, serviceSecretNamed } from './keys.ts';

let auth: Auth;
let keys: Keys;
beforeAll(async () => {
  auth = await Auth.start({ env: serviceSecretNamed(randomBytes(36).toString('base64url')) });
  keys = new Keys(auth);
});
afterAll(() => auth.stop());

describe('a key', () => {
  it('rests while its owner is locked or disabled, and works again after that', async () => {
    const [admin, alice] = [await auth.admin(), await auth.loggedIn()];
    const { text } = await keys.made(alice);
    const owner = `/api/admin/users/${alice.userId}`;
    for (const [end, begin] of [
      [() => as(auth, admin)('POST', `${owner}/lock`), () => as(auth, admin)('POST', `${owner}/unlock`)],
      [
        () => as(auth, admin)('PUT', `${owner}/status`, { status: 'disabled' }),
        () => as(auth, admin)('PUT', `${owner}/status`, { status: 'active' }),
      ],
    ] as const) {
      expect((await end()).status).toBe(200);
      expect([await keys.use(text), (await keys.verify(text)).status]).toEqual([401, 404]);
      expect((await begin()).status).toBe(200);
      expect([await keys.use(text), (await keys.verify(text)).status]).toEqual([200, 200]);
    }
  });

  it('outlives the sessions and the password of its owner', async () => {
    const alice = await auth.loggedIn();
    const { text } = await keys.made(alice);
    const change = { currentPassword: PASSWORD, newPassword: 'another-long-walk-in-the-rain' };
    expect((await as(auth, alice)('POST', '/api/change-password', change)).status).toBe(200);
    expect((await as(auth, alice)('POST', '/api/auth/logout-all')).status).toBe(200);
    expect(await keys.use(text)).toBe(200);
  });

  it('acts in the workspace it was made in and in no other, as what its owner is there, for as long as they are', async () => {
    const admin = await auth.admin();
    const workspaceId = await newWorkspace(auth, admin);
    const leader = await inWorkspace(auth, await join(auth, admin, workspaceId, 'supervisor'), workspaceId);
    const { text } = await keys.made(leader, { scopes: ['profile:read', 'credits:read-any'] });
    expect((await keys.verify(text)).body).toMatchObject({
      workspaceId,
      workspaceRole: 'supervisor',
      user: { role: 'supervisor' },
      scopes: ['profile:read', 'credits:read-any'],
      memberVersion: expect.any(Number),
    });
    const inside = (workspace: string) =>
      auth.call('GET', '/api/profile', { token: text, headers: { 'x-workspace-id': workspace } });
    expect([(await inside(workspaceId)).status, (await inside('default')).status]).toEqual([200, 404]);

    const member = `/api/workspaces/${workspaceId}/members/${leader.userId}`;
    await as(auth, admin)('PUT', member, { role: 'enduser' });
    expect((await keys.verify(text)).body).toMatchObject({ user: { role: 'enduser' }, scopes: ['profile:read'] });
    expect((await as(auth, admin)('DELETE', member)).status).toBe(200);
    expect([await keys.use(text), (await keys.verify(text)).status]).toEqual([401, 404]);
  });
});
