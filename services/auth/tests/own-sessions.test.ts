import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { deviceName } from '../src/routes/device-name.ts';
import { Auth, type LoggedIn, PASSWORD, statuses, times } from './auth.ts';

const clock = manualClock();

let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start({ clock });
});
afterAll(() => auth.stop());

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
type View = { id: string; device: string; current: boolean; createdAt: string; lastUsedAt: string; ipAddress: string };

async function sessionsOf({ accessToken }: { accessToken: string }): Promise<View[]> {
  const { body } = await auth.call('GET', '/api/sessions', { token: accessToken });
  return (body as unknown as { sessions: View[] }).sessions;
}
const end = (id: string, { accessToken }: LoggedIn) =>
  auth.call('DELETE', `/api/sessions/${id}`, { token: accessToken });

describe('the own sessions', () => {
  it('are shown with what they are used from and when, and nothing secret', async () => {
    const alice = await auth.loggedIn();
    const at = new Date(clock.now()).toISOString();
    clock.advance(60_000);
    const body = { username: alice.username, password: PASSWORD };
    const browser = await auth.post('/api/auth/login', body, { headers: { 'user-agent': FIREFOX } });
    const later = new Date(clock.now()).toISOString();
    const { text } = await auth.call('GET', '/api/sessions', { token: alice.accessToken });
    expect(text).not.toMatch(/hash|token|sealed/i);
    const [first, second, ...others] = await sessionsOf(alice);
    expect(others).toEqual([]);
    expect(first).toMatchObject({ device: 'Firefox on Linux', current: false, createdAt: later, lastUsedAt: later });
    expect(second).toMatchObject({
      device: 'node',
      current: true,
      createdAt: at,
      ipAddress: expect.stringMatching(/127/),
    });
    await auth.refresh(browser.body.refreshToken);
    await end(first?.id ?? '', alice);
    expect(await sessionsOf(alice)).toMatchObject([{ current: true }]);
  });

  it('are ended one by one: access, refresh, list and feed, once', async () => {
    const alice = await auth.loggedIn();
    const other = await auth.session(alice);
    const [session] = (await sessionsOf(alice)).filter(({ current }) => !current);
    const answers = await times(10, () => end(session?.id ?? '', alice));
    expect(statuses(answers)).toEqual({ 200: 10 });
    expect((await auth.profile(other.accessToken)).status).toBe(401);
    expect((await auth.refresh(other.refreshToken)).status).toBe(401);
    expect((await auth.profile(alice.accessToken)).status).toBe(200);
    const told = await auth.db.collection('revocations').find({ 'entry.sessionId': session?.id }).toArray();
    expect(told).toMatchObject([{ entry: { kind: 'session', reason: 'session-ended' } }]);
    expect(await auth.db.collection('audit_log').countDocuments({ 'facts.sessionId': session?.id })).toBe(1);
  });

  it('are not another’s: theirs is as unknown as one that never was, and stays', async () => {
    const [alice, bob] = [await auth.loggedIn(), await auth.loggedIn('bob')];
    const [session] = await sessionsOf(bob);
    const stranger = await end(session?.id ?? '', alice);
    const unknown = await end('00000000-0000-4000-8000-000000000000', alice);
    expect([stranger.status, stranger.body.detail]).toEqual([404, unknown.body.detail]);
    expect((await end('nonsense', alice)).status).toBe(400);
    expect((await auth.refresh(bob.refreshToken)).status).toBe(200);
  });

  it('are all ended by an administrator, those being opened at that moment included', async () => {
    const [root, alice] = [await auth.admin(), await auth.loggedIn()];
    const logins = times(5, () => auth.logIn(alice.username, PASSWORD));
    const signOut = () =>
      auth.post(`/api/admin/users/${alice.userId}/sign-out`, undefined, { token: root.accessToken });
    await logins;
    expect((await signOut()).status).toBe(200);
    for (const { body } of await logins) expect((await auth.refresh(body.refreshToken)).status).toBe(401);
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(200);
    expect(await auth.auditOf('session.all-ended')).toMatchObject([{}]);
  });

  it('are at most 100: the one used longest ago makes room, also when several are opened at once', async () => {
    const alice = await auth.loggedIn();
    const sessions = auth.db.collection('sessions');
    const [own] = await sessions.find({ _id: (await sessionsOf(alice))[0]?.id as never }).toArray();
    if (!own) throw new Error('no session');
    clock.advance(1000);
    const copies = Array.from({ length: 97 }, (_, index) => ({
      ...own,
      _id: `copy-${index}` as never,
      rotatedAt: new Date(clock.now() + index),
    }));
    await sessions.insertMany(copies);
    clock.advance(1000);
    const opened = await times(5, () => auth.session(alice));
    const living = { userId: own['userId'], revokedAt: { $exists: false } };
    expect(await sessions.countDocuments(living)).toBe(100);
    for (const { accessToken } of opened) expect((await auth.profile(accessToken)).status).toBe(200);
    expect((await auth.profile(alice.accessToken)).status).toBe(401);
    const ended = await sessions.find({ userId: own['userId'], endReason: 'too-many-sessions' }).toArray();
    expect(ended.map(({ _id }) => String(_id)).toSorted()).toEqual([String(own._id), 'copy-0', 'copy-1'].toSorted());
    const told = await auth.db.collection('revocations').countDocuments({ 'entry.reason': 'too-many-sessions' });
    expect(told).toBe(3);
  });
});

describe('the name of a device', () => {
  it.each([
    [FIREFOX, 'Firefox on Linux'],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
      'Safari on iOS',
    ],
    ['curl/8.14.1', 'curl'],
    ['', 'Unknown device'],
    ['\u001B[31m<script>', 'Unknown device'],
  ])('of %j is %s', (userAgent, name) => {
    expect(deviceName(userAgent)).toBe(name);
  });

  it('is short and found quickly, whatever a client says of itself', () => {
    for (const userAgent of ['('.repeat(512), 'Mozilla/5.0 ('.repeat(39), `${'a'.repeat(511)}/`, ' '.repeat(512)]) {
      expect(deviceName(userAgent).length).toBeLessThanOrEqual(80);
    }
  });
});
