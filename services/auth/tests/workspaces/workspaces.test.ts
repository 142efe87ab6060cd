import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Auth, type LoggedIn, statuses, times } from '../auth.ts';
import { stepUp } from '../mfa/factor.ts';
import { accept, as, inWorkspace, invite, join, json, newWorkspace } from './workspace.ts';

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start();
  root = await auth.admin();
});
afterAll(() => auth.stop());

const workspacePath = (id: string, rest = '') => `/api/workspaces/${id}${rest}`;
const memberships = () =>
  auth.db.collection<{ _id: string; role: string; isActive: boolean; version: number }>('memberships');
const stored = (workspaceId: string, { userId }: { userId: string }) =>
  memberships().findOne({ _id: `${workspaceId}:${userId}` });
const audited = async (action: string, workspaceId: string) =>
  (await auth.auditOf(action)).filter(({ facts }) => (facts as { workspaceId?: string }).workspaceId === workspaceId);

describe('founding and reading', () => {
  it('is for administrators unless the installation says otherwise; the founder owns it', async () => {
    const alice = await auth.loggedIn();
    expect((await as(auth, alice)('POST', '/api/workspaces', { name: 'Mine' })).status).toBe(403);
    const made = await as(auth, root)('POST', '/api/workspaces', { name: '  Research & Co. ', description: 'Papers' });
    expect([made.status, json(made).workspace]).toMatchObject([
      201,
      { name: 'Research & Co.', description: 'Papers', role: 'owner', status: 'active', isDefault: false },
    ]);
    expect(await audited('workspace.created', json(made).workspace.id)).toHaveLength(1);
  });

  it('lists the default workspace first and what the caller belongs to, nothing else', async () => {
    const [mine, other] = [await newWorkspace(auth, root, 'Mine'), await newWorkspace(auth, root, 'Other')];
    const alice = await join(auth, root, mine, 'supervisor');
    const listed = json(await as(auth, alice)('GET', '/api/workspaces')).workspaces;
    expect(listed.map(({ id, role, isDefault }) => [id, role, isDefault])).toEqual([
      ['default', 'enduser', true],
      [mine, 'supervisor', false],
    ]);
    expect((await as(auth, alice)('GET', workspacePath(mine))).status).toBe(200);
    expect((await as(auth, alice)('GET', workspacePath('default'))).status).toBe(200);
    const refusals = await Promise.all(
      [other, randomUUID(), 'nonsense'].map(async (id) => (await as(auth, alice)('GET', workspacePath(id))).body),
    );
    for (const { status, error, code } of refusals) {
      expect([status, error, code]).toEqual([404, 'Workspace not found', 'not_found']);
    }
  });

  it('pages through all workspaces for administrators of the installation', async () => {
    const made = await times(3, (index) => newWorkspace(auth, root, `Listed ${index}`));
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: ReturnType<typeof json> = json(
        await as(auth, root)('GET', `/api/admin/workspaces?limit=2${cursor && `&cursor=${cursor}`}`),
      );
      seen.push(...page.workspaces.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen).toEqual(expect.arrayContaining(made));
  });
});

describe('what a role may do in a workspace', () => {
  const calls: [string, string, (id: string) => [string, string, unknown?]][] = [
    ['read', 'owner admin supervisor enduser', (id) => ['GET', workspacePath(id)]],
    ['see members', 'owner admin supervisor', (id) => ['GET', workspacePath(id, '/members')]],
    ['rename', 'owner admin', (id) => ['PATCH', workspacePath(id), { name: 'Renamed' }]],
    ['see invitations', 'owner admin', (id) => ['GET', workspacePath(id, '/invitations')]],
    [
      'invite',
      'owner admin',
      (id) => ['POST', workspacePath(id, '/invitations'), { email: `${randomUUID()}@example.test` }],
    ],
    ['hand over', 'owner', (id) => ['POST', workspacePath(id, '/transfer'), { userId: root.userId }]],
  ];

  it('follows the table, and gives a stranger 404 and the default workspace nothing to administer', async () => {
    const owner = await auth.admin('owner');
    const id = await newWorkspace(auth, owner);
    const [admin, supervisor, enduser] = [
      await join(auth, owner, id, 'admin'),
      await join(auth, owner, id, 'supervisor'),
      await join(auth, owner, id, 'enduser'),
    ];
    // Only an administrator founds workspaces here, and as one may do everything; so the founder hands over.
    const heir = await join(auth, owner, id, 'admin');
    for (const whoHandsOver of [owner, heir]) await stepUp(auth, whoHandsOver);
    expect((await as(auth, owner)('POST', workspacePath(id, '/transfer'), { userId: heir.userId })).status).toBe(200);
    const people = { owner: heir, admin, supervisor, enduser };
    const stranger = await auth.loggedIn('stranger');
    for (const [what, allowed, call] of calls) {
      for (const [role, person] of Object.entries(people)) {
        const { status } = await as(auth, person)(...call(id));
        // To hand over to somebody who is no member is allowed to try.
        const isAllowed = status !== 403;
        expect({ what, role, isAllowed }).toEqual({ what, role, isAllowed: allowed.split(' ').includes(role) });
      }
      expect([what, (await as(auth, stranger)(...call(id))).status]).toEqual([what, 404]);
    }
    for (const [what, , call] of calls.slice(1)) {
      expect([what, (await as(auth, root)(...call('default'))).status]).toEqual([what, 403]);
    }
  });

  it('lets an administrator of one workspace do nothing in another', async () => {
    const [mine, theirs] = [await newWorkspace(auth, root, 'Mine'), await newWorkspace(auth, root, 'Theirs')];
    const admin = await join(auth, root, mine, 'admin');
    const victim = await join(auth, root, theirs);
    const signedIn = await inWorkspace(auth, admin, mine);
    const attempts: [string, string, unknown?][] = [
      ['GET', workspacePath(theirs)],
      ['PATCH', workspacePath(theirs), { name: 'Taken' }],
      ['GET', workspacePath(theirs, '/members')],
      ['PUT', workspacePath(theirs, `/members/${victim.userId}`), { role: 'admin' }],
      ['DELETE', workspacePath(theirs, `/members/${victim.userId}`)],
      ['POST', workspacePath(theirs, '/invitations'), { email: admin.email, role: 'admin' }],
      ['POST', workspacePath(theirs, '/leave')],
      ['POST', workspacePath(theirs, '/transfer'), { userId: admin.userId }],
    ];
    for (const [method, path, body] of attempts) {
      for (const caller of [admin, signedIn]) {
        expect([path, (await as(auth, caller)(method, path, body)).status]).toEqual([path, 404]);
      }
    }
    expect(await stored(theirs, victim)).toMatchObject({ role: 'enduser', isActive: true, version: 1 });
    expect(await stored(theirs, admin)).toBeNull();
  });
});

describe('members', () => {
  it('are listed in pages, by name and without their addresses', async () => {
    const id = await newWorkspace(auth, root);
    const people = [await join(auth, root, id), await join(auth, root, id, 'supervisor')];
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const answer = await as(auth, root)('GET', workspacePath(id, `/members?limit=1${cursor && `&cursor=${cursor}`}`));
      expect(answer.text).not.toMatch(/@example\.test|password/i);
      const page: ReturnType<typeof json> = json(answer);
      seen.push(...page.members.map(({ userId }) => userId));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual([root, ...people].map(({ userId }) => userId).sort());
    expect((await as(auth, root)('GET', workspacePath(id, '/members?limit=101'))).status).toBe(400);
  });

  it('keep their pages to themselves: a cursor of another workspace shows nobody of it', async () => {
    const [mine, theirs] = [await newWorkspace(auth, root), await newWorkspace(auth, root)];
    const admin = await join(auth, root, mine, 'admin');
    const others = [await join(auth, root, theirs), await join(auth, root, theirs)];
    for (const cursor of [...others.map(({ userId }) => userId), '0'.repeat(24)]) {
      const page = json(await as(auth, admin)('GET', workspacePath(mine, `/members?cursor=${cursor}`)));
      for (const { userId } of page.members) expect(others.map((one) => one.userId)).not.toContain(userId);
    }
    expect((await as(auth, admin)('GET', workspacePath(mine, '/members?cursor=x'))).status).toBe(400);
  });

  it('get another role, are told by mail, and it is audited; nobody changes their own', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await join(auth, root, id);
    const changed = await as(auth, root)('PUT', workspacePath(id, `/members/${alice.userId}`), { role: 'supervisor' });
    expect([changed.status, json(changed).member]).toMatchObject([200, { userId: alice.userId, role: 'supervisor' }]);
    expect(await stored(id, alice)).toMatchObject({ role: 'supervisor', version: 2 });
    const mail = await auth.mails.waitForMail(alice.email, ({ subject }) => subject === 'Your role has changed');
    expect(mail.text).toContain('"Research" you are now: supervisor');
    expect(await audited('member.role-changed', id)).toMatchObject([{ facts: { from: 'enduser', to: 'supervisor' } }]);
    const admin = await join(auth, root, id, 'admin');
    for (const [call, code] of [
      [[`/members/${admin.userId}`, { role: 'supervisor' }], 'own_account'],
      [[`/members/${root.userId}`, { role: 'enduser' }], 'last_owner'],
    ] as const) {
      const refused = await as(auth, admin)('PUT', workspacePath(id, call[0]), call[1]);
      expect(json(refused).code).toBe(code);
    }
    expect((await as(auth, root)('PUT', workspacePath(id, `/members/${alice.userId}`), { role: 'owner' })).status).toBe(
      400,
    );
  });

  it('are removed, told by mail, and come back as a new version only', async () => {
    const id = await newWorkspace(auth, root);
    const alice = await join(auth, root, id);
    expect((await as(auth, root)('DELETE', workspacePath(id, `/members/${alice.userId}`))).status).toBe(200);
    await auth.mails.waitForMail(alice.email, ({ subject }) => subject === 'You left a workspace');
    expect(await stored(id, alice)).toMatchObject({ isActive: false, version: 2 });
    expect((await as(auth, alice)('GET', workspacePath(id))).status).toBe(404);
    expect((await as(auth, root)('DELETE', workspacePath(id, `/members/${alice.userId}`))).status).toBe(404);
    await accept(auth, alice, await invite(auth, root, { workspaceId: id, email: alice.email, role: 'supervisor' }));
    expect(await stored(id, alice)).toMatchObject({ isActive: true, role: 'supervisor', version: 3 });
    expect(
      await auth.db.collection('revocations').find({ 'entry.userId': alice.userId, 'entry.kind': 'member' }).toArray(),
    ).toMatchObject([{ entry: { workspaceId: id, minVersion: 2, reason: 'membership-removed' } }]);
  });

  it('leave by themselves; the owner hands over first, to an administrator', async () => {
    const id = await newWorkspace(auth, root);
    const [alice, heir] = [await join(auth, root, id), await join(auth, root, id)];
    const leave = (who: LoggedIn) => as(auth, who)('POST', workspacePath(id, '/leave'));
    expect((await leave(alice)).status).toBe(200);
    expect((await leave(alice)).status).toBe(404);
    expect(json(await leave(root)).code).toBe('last_owner');
    await stepUp(auth, root);
    const handOver = () => as(auth, root)('POST', workspacePath(id, '/transfer'), { userId: heir.userId });
    expect((await handOver()).status).toBe(409);
    await as(auth, root)('PUT', workspacePath(id, `/members/${heir.userId}`), { role: 'admin' });
    expect(json(await handOver()).workspace.role).toBe('admin');
    expect(json(await as(auth, heir)('GET', workspacePath(id))).workspace.role).toBe('owner');
    expect(await audited('workspace.transferred', id)).toHaveLength(1);
    expect((await leave(root)).status).toBe(200);
  });

  it('never lose their owner, and administrators who remove each other leave one, in 20 tries at once', async () => {
    const owner = await auth.admin('owner');
    const id = await newWorkspace(auth, owner);
    const people = [await join(auth, owner, id, 'admin'), await join(auth, owner, id, 'admin')];
    const [one, two] = people as [LoggedIn, LoggedIn];
    const answers = await times(20, (index) => {
      const [actor, other] = index % 2 === 0 ? [one, two] : [two, one];
      const target = index % 5 === 0 ? owner : other;
      return index % 4 < 2
        ? as(auth, actor)('DELETE', workspacePath(id, `/members/${target.userId}`))
        : as(auth, actor)('PUT', workspacePath(id, `/members/${target.userId}`), { role: 'enduser' });
    });
    expect(statuses(answers)[500]).toBeUndefined();
    const workspace = await auth.db.collection('workspaces').findOne({ _id: id as never });
    expect(String(workspace?.['ownerId'])).toBe(owner.userId);
    expect(await stored(id, owner)).toMatchObject({ isActive: true, role: 'admin' });
    const left = await memberships().countDocuments({
      _id: { $in: people.map(({ userId }) => `${id}:${userId}`) },
      isActive: true,
      role: 'admin',
    });
    expect(left).toBe(1);
    expect(workspace?.['adminIds']).toHaveLength(2);
  });

  it('are handed to one heir when the owner hands over to several at once', async () => {
    const owner = await auth.admin('owner');
    const id = await newWorkspace(auth, owner);
    const heirs = [await join(auth, owner, id, 'admin'), await join(auth, owner, id, 'admin')];
    await stepUp(auth, owner);
    const answers = await times(20, (index) =>
      as(auth, owner)('POST', workspacePath(id, '/transfer'), { userId: heirs[index % 2]?.userId }),
    );
    expect(statuses(answers)[500]).toBeUndefined();
    const workspace = await auth.db.collection('workspaces').findOne({ _id: id as never });
    const living = await memberships()
      .find({ _id: { $regex: `^${id}:` }, isActive: true })
      .toArray();
    expect(living).toHaveLength(3);
    expect(living.map(({ _id }) => _id)).toContain(`${id}:${String(workspace?.['ownerId'])}`);
  });
});

describe('disabling', () => {
  it('stops everything in a workspace but reading, and is for administrators of the installation', async () => {
    const id = await newWorkspace(auth, root);
    const admin = await join(auth, root, id, 'admin');
    expect((await as(auth, admin)('POST', workspacePath(id, '/disable'))).status).toBe(403);
    expect(json(await as(auth, root)('POST', workspacePath(id, '/disable'))).workspace.status).toBe('disabled');
    expect((await as(auth, root)('POST', workspacePath('default', '/disable'))).status).toBe(403);
    expect(json(await as(auth, admin)('GET', workspacePath(id))).workspace.status).toBe('disabled');
    for (const caller of [admin, root]) {
      const renamed = await as(auth, caller)('PATCH', workspacePath(id), { name: 'Other' });
      expect([renamed.status, json(renamed).code]).toEqual([403, 'workspace_disabled']);
    }
    expect(await auth.db.collection('revocations').countDocuments({ 'entry.workspaceId': id })).toBe(1);
    expect(json(await as(auth, root)('POST', workspacePath(id, '/enable'))).workspace.status).toBe('active');
    expect((await as(auth, admin)('PATCH', workspacePath(id), { name: 'Other' })).status).toBe(200);
  });
});
