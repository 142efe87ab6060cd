import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import { manualClock } from '@tollgate/test-kit';
import { readAuthConfig } from '../src/config.ts';
import { EVERY_VERSION } from '../src/domain/revocation.ts';
import { as as callAs, join, newWorkspace } from './workspaces/workspace.ts';
import { Auth, type LoggedIn, PASSWORD, times, tokenIn } from './auth.ts';

const clock = manualClock();

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start({ clock });
});
beforeEach(async () => {
  root = await auth.admin();
});
afterAll(() => auth.stop());

type Told = { _id: string; entry: Record<string, unknown>; madeAt: Date; expiresAt: Date };

const toldOf = (field: 'userId' | 'sessionId', value: string): Promise<Told[]> =>
  auth.db
    .collection<Told>('revocations')
    .find({ [`entry.${field}`]: value })
    .toArray();
const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
const sessionOf = ({ accessToken }: { accessToken: string }): string => String(claimsOf(accessToken)['sid']);
const entriesOf = async (userId: string) => (await toldOf('userId', userId)).map(({ entry }) => entry);

describe('what the other services are told', () => {
  it('is the session that ended by logout, once, however often it is asked for', async () => {
    const alice = await auth.loggedIn();
    const logOut = () => auth.post('/api/auth/logout', undefined, { token: alice.accessToken });
    for (const { status } of await times(5, logOut)) expect(status).toBe(200);
    const [told, ...others] = await toldOf('sessionId', sessionOf(alice));
    expect(others).toEqual([]);
    expect(told).toMatchObject({ entry: { kind: 'session', reason: 'logout' }, madeAt: new Date(clock.now()) });
    expect(await auth.auditOf('session.ended')).toHaveLength(1);
  });

  it('is every version before the one that a logout from everywhere begins', async () => {
    const alice = await auth.loggedIn();
    await auth.post('/api/auth/logout-all', undefined, { token: alice.accessToken });
    const again = await auth.session(alice);
    const minVersion = claimsOf(again.accessToken)['ver'];
    expect(await entriesOf(alice.userId)).toEqual([
      { kind: 'user', userId: alice.userId, minVersion, reason: 'logout-all' },
    ]);
    expect(claimsOf(alice.accessToken)['ver']).toBe(Number(minVersion) - 1);
  });

  it('spares the session that changed the password, and no other', async () => {
    const alice = await auth.loggedIn();
    const newPassword = `${PASSWORD}-2`;
    const body = { currentPassword: PASSWORD, newPassword };
    expect((await auth.post('/api/change-password', body, { token: alice.accessToken })).status).toBe(200);
    const { body: refreshed } = await auth.refresh(alice.refreshToken);
    const minVersion = claimsOf(refreshed.accessToken)['ver'];
    expect(await entriesOf(alice.userId)).toEqual([
      { kind: 'user', userId: alice.userId, minVersion, exceptSessionId: sessionOf(alice), reason: 'password-changed' },
    ]);
    expect((await auth.profile(alice.accessToken)).status).toBe(200);
  });

  it('names a reset of the password, a new role, and deletion for ever', async () => {
    const alice = await auth.loggedIn();
    await auth.post('/api/auth/forgot-password', { email: alice.email });
    const mail = await auth.mails.waitForMail(alice.email, ({ text }) => text.includes('token: '));
    await auth.post('/api/auth/reset-password', { token: tokenIn(mail), newPassword: `${PASSWORD}-3` });
    const as = { token: root.accessToken };
    await auth.call('PUT', `/api/admin/users/${alice.userId}/role`, { body: { role: 'supervisor' }, ...as });
    await auth.call('DELETE', `/api/admin/users/${alice.userId}`, as);
    const told = await entriesOf(alice.userId);
    expect(told.map(({ reason }) => reason)).toEqual(['password-reset', 'role-changed', 'account-deleted']);
    expect(told.map(({ minVersion }) => minVersion)).toEqual([2, 3, Number.MAX_SAFE_INTEGER]);
  });

  it('is the family of a stolen refresh token', async () => {
    const alice = await auth.loggedIn();
    await auth.refresh(alice.refreshToken);
    clock.advance(10_001);
    await times(5, () => auth.refresh(alice.refreshToken));
    const told = await toldOf('sessionId', sessionOf(alice));
    expect(told.map(({ entry }) => entry['reason'])).toEqual(['refresh-reuse']);
  });
});

describe('what was not told', () => {
  it('because a process died in between is told by the next one, and what was told is left as it was', async () => {
    const [alice, bob] = [await auth.loggedIn(), await auth.loggedIn('bob')];
    await auth.post('/api/auth/logout', undefined, { token: alice.accessToken });
    await auth.call('PUT', `/api/admin/users/${bob.userId}/role`, {
      body: { role: 'supervisor' },
      token: root.accessToken,
    });
    const written = auth.db.collection<Told>('revocations');
    const kept = await toldOf('userId', bob.userId);
    const carol = await auth.loggedIn('carol');
    await auth.call('DELETE', `/api/admin/users/${carol.userId}`, { token: root.accessToken });
    await written.deleteMany({
      _id: { $in: [`session:${sessionOf(alice)}`, `user:${carol.userId}:${EVERY_VERSION}`] },
    });
    clock.advance(60_000);
    const next = await Auth.start({ env: auth.env, clock });
    try {
      while ((await written.countDocuments({ _id: `session:${sessionOf(alice)}` })) === 0);
      const [session] = await toldOf('sessionId', sessionOf(alice));
      expect(session).toMatchObject({ entry: { kind: 'session', reason: 'access-ended' } });
      expect(await entriesOf(carol.userId)).toMatchObject([{ minVersion: EVERY_VERSION, reason: 'account-deleted' }]);
      expect(await toldOf('userId', bob.userId)).toEqual(kept);
    } finally {
      await next.stop({ keepDatabase: true });
    }
    root = await auth.admin();
  });
});

describe('what was not told of a member', () => {
  it('because a process died in between is told by the next one', async () => {
    const id = await newWorkspace(auth, root);
    const [alice, bob] = [await join(auth, root, id), await join(auth, root, id)];
    const path = (userId: string) => `/api/workspaces/${id}/members/${userId}`;
    await callAs(auth, root)('DELETE', path(alice.userId));
    await callAs(auth, root)('PUT', path(bob.userId), { role: 'supervisor' });
    const written = auth.db.collection<Told>('revocations');
    const told = await written.find({ 'entry.workspaceId': id }).toArray();
    expect(told).toHaveLength(2);
    await written.deleteMany({ 'entry.workspaceId': id });
    clock.advance(60_000);
    const next = await Auth.start({ env: auth.env, clock });
    try {
      await eventually(async () => (await written.countDocuments({ 'entry.workspaceId': id })) === 2);
      const again = await written.find({ 'entry.workspaceId': id }).toArray();
      expect(again.map(({ _id }) => _id).sort()).toEqual(told.map(({ _id }) => _id).sort());
    } finally {
      await next.stop({ keepDatabase: true });
    }
    root = await auth.admin();
  });
});

describe('the list that the other services follow', () => {
  type Page = { revocations: { id: string; madeAt: number }[]; nextCursor: string | null; now: number };

  /** As accounting asks. */
  async function ask(query = ''): Promise<{ status: number; page: Page }> {
    const keys = readAuthConfig(auth.env).tokens.serviceKeys;
    const token = await createServiceTokenSource({ service: 'accounting', keys, clock }).tokenFor('auth');
    const { status, body } = await auth.call('GET', `/api/internal/revocations${query}`, { token });
    return { status, page: body as unknown as Page };
  }

  it('is for services only', async () => {
    for (const token of [undefined, root.accessToken])
      expect((await auth.call('GET', '/api/internal/revocations', token === undefined ? {} : { token })).status).toBe(
        token === undefined ? 401 : 403,
      );
  });

  it('tells an entry from its moment on, and is empty behind it', async () => {
    const alice = await auth.loggedIn();
    await auth.post('/api/auth/logout', undefined, { token: alice.accessToken });
    const at = clock.now();
    const { page } = await ask(`?since=${at}`);
    const entry = { kind: 'session', sessionId: sessionOf(alice), reason: 'logout', madeAt: at };
    expect(page).toMatchObject({ now: at, nextCursor: null });
    expect(page.revocations).toContainEqual({ ...entry, id: `session:${sessionOf(alice)}` });
    clock.advance(1000);
    expect((await ask(`?since=${at + 1}`)).page.revocations).toEqual([]);
  });

  it('tells an entry for as long as a token can live, and not for longer, whether or not it was cleared away', async () => {
    const alice = await auth.loggedIn();
    await auth.post('/api/auth/logout', undefined, { token: alice.accessToken });
    const isTold = async () => (await ask()).page.revocations.some(({ id }) => id === `session:${sessionOf(alice)}`);
    clock.advance(3_660_000);
    expect(await isTold()).toBe(true);
    clock.advance(1);
    expect(await isTold()).toBe(false);
    root = await auth.admin();
  });

  it('comes in pages that leave nothing out, also between entries of one moment', async () => {
    const madeAt = new Date(clock.now() + 5000);
    const ids = Array.from({ length: 1500 }, (_, index) => `session:many-${String(index).padStart(4, '0')}`);
    await auth.db.collection<Told>('revocations').insertMany(
      ids.map((_id) => ({
        _id,
        entry: { kind: 'session', sessionId: _id.slice('session:'.length), reason: 'logout' },
        madeAt,
        expiresAt: new Date(madeAt.getTime() + 3_600_000),
      })),
    );
    const since = `?since=${madeAt.getTime()}`;
    const first = await ask(since);
    const second = await ask(`${since}&cursor=${encodeURIComponent(first.page.nextCursor ?? '')}`);
    expect([first.page.revocations.length, second.page.nextCursor]).toEqual([1000, null]);
    expect([...first.page.revocations, ...second.page.revocations].map(({ id }) => id)).toEqual(ids);
  });

  it('refuses a cursor or a moment that it never named', async () => {
    for (const query of ['?cursor=nonsense', '?cursor=1:', '?since=-1', '?since=x', '?since=1&since=2', '?other=1'])
      expect((await ask(query)).status).toBe(400);
  });
});

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 5000;
  while (!(await isSo())) if (performance.now() > end) throw new Error('it did not happen within 5 s');
}
