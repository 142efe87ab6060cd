import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import { manualClock } from '@tollgate/test-kit';
import { readAuthConfig } from '../../src/config.ts';
import { Auth, type LoggedIn, statuses, times } from '../auth.ts';
import { as, claimsOf, inWorkspace, join, json, newWorkspace } from './workspace.ts';

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start();
  root = await auth.admin();
});
afterAll(() => auth.stop());

const logIn = ({ username, password }: LoggedIn, workspaceId?: string) =>
  auth.post('/api/auth/login', { username, password, ...(workspaceId !== undefined && { workspaceId }) });
const select = (selectionToken: string, workspaceId: string) =>
  auth.post('/api/auth/select-workspace', { selectionToken, workspaceId });
const remove = (workspaceId: string, { userId }: LoggedIn) =>
  as(auth, root)('DELETE', `/api/workspaces/${workspaceId}/members/${userId}`);
const giveRole = (workspaceId: string, { userId }: LoggedIn, role: string) =>
  as(auth, root)('PUT', `/api/workspaces/${workspaceId}/members/${userId}`, { role });

describe('logging in', () => {
  it('asks nobody who is in the default workspace alone, and says so in the token', async () => {
    const alice = await auth.loggedIn();
    expect(claimsOf(alice.accessToken)).toMatchObject({ wid: 'default', role: 'enduser', wrole: 'enduser', ver: 1 });
    expect(claimsOf(alice.accessToken)).not.toHaveProperty('mver');
  });

  it('asks whoever belongs to several, opens nothing before the answer, and nothing with the selection token', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await join(auth, root, id, 'supervisor');
    const sessionsBefore = await auth.db.collection('sessions').countDocuments();
    const asked = await logIn(alice);
    expect(asked.status).toBe(300);
    expect(json(asked).workspaces).toEqual([
      { id: 'default', name: 'Default', role: 'enduser' },
      { id, name: 'Research', role: 'supervisor' },
    ]);
    expect(asked.headers.getSetCookie()).toEqual([]);
    expect(asked.text).not.toContain('accessToken');
    expect(await auth.db.collection('sessions').countDocuments()).toBe(sessionsBefore);
    const { selectionToken } = json(asked);
    expect((await auth.profile(selectionToken)).status).toBe(401);
    expect((await auth.refresh(selectionToken)).status).toBe(401);
    const chosen = await select(selectionToken, id);
    expect([chosen.status, claimsOf(chosen.body.accessToken)]).toMatchObject([
      200,
      { wid: id, role: 'supervisor', wrole: 'supervisor', mver: 1 },
    ]);
    expect(chosen.headers.getSetCookie().map((cookie) => cookie.split('=')[0])).toEqual([
      'accessToken',
      'refreshToken',
      'trustedDevice',
    ]);
    expect((await auth.profile(chosen.body.accessToken)).status).toBe(200);
  });

  it('takes one choice among 50 at once; a wrong one leaves the question open', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await join(auth, root, id);
    const { selectionToken } = json(await logIn(alice));
    expect((await select(selectionToken, randomUUID())).status).toBe(404);
    expect(statuses(await times(50, () => select(selectionToken, id)))).toEqual({ 200: 1, 401: 49 });
    for (const bad of ['', 'nonsense', alice.accessToken]) {
      expect([400, 401]).toContain((await select(bad, id)).status);
    }
  });

  it('goes straight on with a workspace that the request or the account names, and nowhere else', async () => {
    const [id, foreign] = [await newWorkspace(auth, root), await newWorkspace(auth, root)];
    const alice = await join(auth, root, id);
    expect(claimsOf((await logIn(alice, id)).body.accessToken)).toMatchObject({ wid: id });
    expect(claimsOf((await logIn(alice, 'default')).body.accessToken)).toMatchObject({ wid: 'default' });
    expect((await logIn(alice, foreign)).status).toBe(404);
    expect((await logIn({ ...alice, password: 'wrong' }, foreign)).status).toBe(401);

    const choose = (defaultWorkspaceId: unknown) => as(auth, alice)('PUT', '/api/profile', { defaultWorkspaceId });
    expect((await choose(foreign)).status).toBe(404);
    expect((await choose({ $gt: '' })).status).toBe(400);
    expect(json(await choose(id)).user).toMatchObject({ defaultWorkspaceId: id });
    expect(claimsOf((await logIn(alice)).body.accessToken)).toMatchObject({ wid: id });
    expect(json(await choose(null)).user).not.toHaveProperty('defaultWorkspaceId');
    expect((await logIn(alice)).status).toBe(300);
    await choose(id);
    await remove(id, alice);
    expect(claimsOf((await logIn(alice)).body.accessToken)).toMatchObject({ wid: 'default' });
  });

  it('offers no disabled workspace', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await join(auth, root, id);
    const { selectionToken } = json(await logIn(alice));
    const inside = await inWorkspace(auth, alice, id);
    await as(auth, root)('POST', `/api/workspaces/${id}/disable`);
    expect((await select(selectionToken, id)).status).toBe(404);
    expect((await logIn(alice)).status).toBe(200);
    expect((await auth.profile(inside.accessToken)).status).toBe(401);
    expect((await auth.refresh(inside.refreshToken)).status).toBe(401);
  });

  it('refuses a selection token after ten minutes, and after a new password', async () => {
    const clock = manualClock(Date.now());
    const other = await Auth.start({ clock });
    try {
      const boss = await other.admin('boss');
      const id = await newWorkspace(other, boss);
      const { username, password, ...alice } = await join(other, boss, id);
      const ask = async () => json(await other.post('/api/auth/login', { username, password })).selectionToken;
      const late = await ask();
      clock.advance(600_000);
      const choose = (selectionToken: string) =>
        other.post('/api/auth/select-workspace', { selectionToken, workspaceId: id });
      expect((await choose(late)).status).toBe(401);
      const early = await ask();
      const changed = await as(other, alice)('POST', '/api/change-password', {
        currentPassword: password,
        newPassword: 'another-walk-in-the-sun',
      });
      expect(changed.status).toBe(200);
      expect((await choose(early)).status).toBe(401);
    } finally {
      await other.stop();
    }
  });
});

describe('roles in tokens', () => {
  it.each([
    ['admin', 'supervisor'],
    ['supervisor', 'supervisor'],
    ['enduser', 'enduser'],
  ])(
    '%s of a workspace is %s to the services; an administrator of the installation is one everywhere',
    async (wrole, role) => {
      const id = await newWorkspace(auth, root);
      const alice = await inWorkspace(auth, await join(auth, root, id, wrole), id);
      expect(claimsOf(alice.accessToken)).toMatchObject({ wid: id, wrole, role, mver: 1 });
      expect(claimsOf((await inWorkspace(auth, root, id)).accessToken)).toMatchObject({
        wid: id,
        wrole: 'owner',
        role: 'admin',
      });
    },
  );

  it('brings nobody the role of one workspace into another', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await join(auth, root, id);
    await as(auth, root)('PUT', `/api/admin/users/${alice.userId}/role`, { role: 'supervisor' });
    const inside = await inWorkspace(auth, alice, id);
    expect(claimsOf(inside.accessToken)).toMatchObject({ wid: id, role: 'enduser' });
    expect((await as(auth, inside)('GET', '/api/admin/reports')).status).toBe(403);
    const outside = await inWorkspace(auth, alice, 'default');
    expect((await as(auth, outside)('GET', '/api/admin/reports')).status).toBe(200);
  });
});

describe('a session in a workspace', () => {
  it('stays there over a refresh, with the role of that moment', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await inWorkspace(auth, await join(auth, root, id), id);
    await giveRole(id, alice, 'admin');
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    const next = await auth.refresh(alice.refreshToken);
    expect([next.status, claimsOf(next.body.accessToken)]).toMatchObject([
      200,
      { wid: id, wrole: 'admin', role: 'supervisor', mver: 2 },
    ]);
  });

  it('ends with the membership: it wakes up in no other workspace', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await join(auth, root, id);
    const [inside, outside] = [await inWorkspace(auth, alice, id), await inWorkspace(auth, alice, 'default')];
    await remove(id, alice);
    expect((await auth.profile(inside.accessToken)).status).toBe(401);
    const refused = await auth.refresh(inside.refreshToken);
    expect([refused.status, refused.body.code]).toEqual([401, 'invalid_refresh_token']);
    expect((await auth.profile(outside.accessToken)).status).toBe(200);
  });

  it('switches: new tokens for the other workspace, and the ones before are over', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await join(auth, root, id, 'supervisor');
    const switched = await as(auth, alice)('POST', '/api/auth/switch-workspace', { workspaceId: id });
    expect([switched.status, claimsOf(switched.body.accessToken)]).toMatchObject([
      200,
      { wid: id, role: 'supervisor' },
    ]);
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    const refreshed = await auth.refresh(switched.body.refreshToken);
    expect(claimsOf(refreshed.body.accessToken)).toMatchObject({ wid: id });
    const { sid } = claimsOf(alice.accessToken);
    expect(await auth.db.collection('revocations').countDocuments({ 'entry.sessionId': sid })).toBe(1);
    expect(await auth.db.collection('audit_log').countDocuments({ action: 'session.refresh-reused' })).toBe(0);
    const [before, after] = await Promise.all(
      [String(sid), String(claimsOf(refreshed.body.accessToken)['sid'])].map((one) =>
        auth.db.collection<{ _id: string; endsAt: Date }>('sessions').findOne({ _id: one }),
      ),
    );
    expect(after?.endsAt).toEqual(before?.endsAt);
  });

  it('switches once among 20 tries at once, and never into a workspace of others', async () => {
    const [id, foreign] = [await newWorkspace(auth, root), await newWorkspace(auth, root)];
    const alice = await join(auth, root, id);
    const switchTo = (workspaceId: string) => as(auth, alice)('POST', '/api/auth/switch-workspace', { workspaceId });
    expect((await switchTo(foreign)).status).toBe(404);
    expect((await auth.profile(alice.accessToken)).status).toBe(200);
    expect(statuses(await times(20, () => switchTo(id)))).toEqual({ 200: 1, 401: 19 });
  });
});

describe('X-Workspace-Id', () => {
  const acting = async (who: LoggedIn, workspaceId: string) =>
    as(auth, who)('GET', '/api/admin/dashboard', undefined, { 'x-workspace-id': workspaceId });

  it('is honoured for a member, as what they are there, and is 404 for everybody else', async () => {
    const [id, foreign] = [await newWorkspace(auth, root), await newWorkspace(auth, root)];
    const alice = await join(auth, root, id, 'supervisor');
    expect((await acting(alice, 'default')).body).toMatchObject({ role: 'enduser' });
    expect((await acting(alice, id)).body).toMatchObject({ role: 'supervisor' });
    for (const wrong of [foreign, randomUUID(), `${id}, default`, '*', '']) {
      expect([wrong, (await acting(alice, wrong)).status]).toEqual([wrong, 404]);
    }
    await remove(id, alice);
    expect((await acting(alice, id)).status).toBe(404);
  });
});

describe('the feed of memberships', () => {
  const service = () => {
    const { serviceKeys } = readAuthConfig(auth.env).tokens;
    return createServiceTokenSource({ service: 'accounting', keys: serviceKeys }).tokenFor('auth');
  };

  it('tells services every change once in its order, removals among them; users get nothing of it', async () => {
    const id = await newWorkspace(auth, root);
    const since = json(await auth.call('GET', '/api/internal/memberships', { token: await service() })).now;
    const alice = await join(auth, root, id);
    const bob = await join(auth, root, id, 'admin');
    await remove(id, alice);
    const told: ReturnType<typeof json>['changes'] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const path = `/api/internal/memberships?limit=1&since=${since}${cursor && `&cursor=${cursor}`}`;
      const page: ReturnType<typeof json> = json(await auth.call('GET', path, { token: await service() }));
      told.push(...page.changes);
      cursor = page.nextCursor;
    }
    const mine = told
      .filter(({ workspaceId }) => workspaceId === id)
      .map(({ userId, role, version }) => [userId, role, version]);
    expect(mine).toEqual(
      expect.arrayContaining([
        [bob.userId, 'admin', 1],
        [alice.userId, null, 2],
      ]),
    );
    expect(mine.at(-1)).toEqual([alice.userId, null, 2]);
    expect(told.map(({ changedAt }) => changedAt)).toEqual(told.map(({ changedAt }) => changedAt).toSorted());
    for (const token of [root.accessToken, alice.accessToken]) {
      expect((await auth.call('GET', '/api/internal/memberships', { token })).body.code).toBe('service_token_required');
    }
    const forged = await auth.call('GET', '/api/internal/memberships?cursor=eyJ4IjoxfQ', { token: await service() });
    expect(forged.status).toBe(400);
  });
});
