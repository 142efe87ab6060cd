import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Auth, type LoggedIn, PASSWORD, statuses, times } from './auth.ts';

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start();
});
beforeEach(async () => {
  root = await auth.admin();
});
afterAll(() => auth.stop());

type Step = 'lock' | 'unlock' | 'disable' | 'enable';
const BODIES = { disable: { status: 'disabled' }, enable: { status: 'active' } } as const;

const change = (step: Step, { userId }: { userId: string }, as: LoggedIn = root) =>
  step === 'lock' || step === 'unlock'
    ? auth.post(`/api/admin/users/${userId}/${step}`, undefined, { token: as.accessToken })
    : auth.call('PUT', `/api/admin/users/${userId}/status`, { body: BODIES[step], token: as.accessToken });
const statusOf = async (userId: string) =>
  (await auth.call('GET', `/api/auth/users/${userId}`, { token: root.accessToken })).body;

describe.each([
  ['lock', 'unlock', 'locked', 'ACCOUNT_LOCKED'],
  ['disable', 'enable', 'disabled', 'ACCOUNT_DISABLED'],
] as const)('to %s an account', (step, back, status, code) => {
  it('refuses its tokens and refreshes at once, tells the other services, and is undone', async () => {
    const alice = await auth.loggedIn();
    const answer = await change(step, alice);
    expect([answer.status, answer.body.user]).toMatchObject([200, { _id: alice.userId, status }]);
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    expect(await statusOf(alice.userId)).toMatchObject({ active: false });
    const [told] = await auth.db.collection('revocations').find({ 'entry.userId': alice.userId }).toArray();
    expect(told).toMatchObject({ entry: { kind: 'user', minVersion: 2, reason: `account-${status}` } });
    expect(await auth.db.collection('audit_log').countDocuments({ action: `account.${status}` })).toBeGreaterThan(0);

    expect((await change(back, alice)).body.user).toMatchObject({ status: 'active' });
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(200);
  });

  it('tells whoever has the right password, and answers a wrong one like any other', async () => {
    const alice = await auth.loggedIn();
    await change(step, alice);
    const right = await auth.logIn(alice.username, PASSWORD);
    expect([right.status, right.body.code]).toEqual([403, code.toLowerCase()]);
    expect(right.headers.getSetCookie()).toEqual([]);
    const wrong = await auth.logIn(alice.username, `${PASSWORD}!`);
    const unknown = await auth.logIn('nobody-at-all', `${PASSWORD}!`);
    const shown = ({ requestId: _id, traceId: _trace, ...body }: Record<string, unknown>) => body;
    expect([wrong.status, shown(wrong.body)]).toEqual([401, shown(unknown.body)]);
  });

  it('is refused for oneself, for strangers and by everybody but administrators', async () => {
    const alice = await auth.loggedIn();
    expect((await change(step, root)).body.code).toBe('own_account');
    expect((await change(step, { userId: '0'.repeat(24) })).status).toBe(404);
    expect((await change(step, { userId: 'nonsense' })).status).toBe(400);
    expect((await change(step, root, alice)).status).toBe(403);
    expect(await statusOf(alice.userId)).toMatchObject({ active: true });
  });

  it('happens once, however many ask for it at the same moment, and no login beside it survives', async () => {
    const alice = await auth.loggedIn();
    const logins = times(10, () => auth.logIn(alice.username, PASSWORD));
    const answers = await times(10, () => change(step, alice));
    expect(statuses(answers)).toEqual({ 200: 10 });
    const account = await auth.db.collection('users').findOne({ username: alice.username });
    expect(account).toMatchObject({ status, tokenVersion: 2 });
    for (const { status: answered, body } of await logins) {
      if (answered !== 200) continue;
      expect((await auth.refresh(body.refreshToken)).status).toBe(401);
      expect((await auth.profile(body.accessToken)).status).toBe(401);
    }
  });
});

describe('the status of an account', () => {
  it('is disabled for a locked one too, which unlocking does not undo', async () => {
    const alice = await auth.loggedIn();
    await change('lock', alice);
    expect((await change('disable', alice)).body.user).toMatchObject({ status: 'disabled' });
    for (const step of ['unlock', 'lock'] as const) expect((await change(step, alice)).status).toBe(409);
    expect((await change('enable', alice)).body.user).toMatchObject({ status: 'active' });
    await change('lock', alice);
    expect((await change('enable', alice)).status).toBe(409);
  });

  it('keeps a mailed reset from opening it, and leaves it to administrators to read, change and delete', async () => {
    const alice = await auth.loggedIn();
    await change('disable', alice);
    const as = { token: root.accessToken };
    expect((await auth.call('GET', `/api/admin/users/by-email/${alice.email}`, as)).body.user).toMatchObject({
      status: 'disabled',
    });
    const role = { body: { role: 'supervisor' }, ...as };
    expect((await auth.call('PUT', `/api/admin/users/${alice.userId}/role`, role)).body.user).toMatchObject({
      role: 'supervisor',
      status: 'disabled',
    });
    expect((await auth.call('DELETE', `/api/admin/users/${alice.userId}`, as)).status).toBe(200);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(401);
  });

  it('leaves an administrator who is active when all of them lock each other at the same moment', async () => {
    const admins = [await auth.admin('a'), await auth.admin('b'), await auth.admin('c')];
    await auth.db
      .collection('users')
      .updateMany({ username: { $nin: admins.map(({ username }) => username) } }, { $set: { role: 'enduser' } });
    const pairs = admins.flatMap((actor) => admins.filter((other) => other !== actor).map((other) => [actor, other]));
    const steps = ['lock', 'disable'] as const;
    const tries = [...pairs, ...pairs].flatMap(([actor, other]) =>
      actor && other ? steps.map((step) => change(step, other, actor)) : [],
    );
    await Promise.all(tries);
    expect(await auth.db.collection('users').countDocuments({ role: 'admin', status: 'active' })).toBeGreaterThan(0);
  });
});
