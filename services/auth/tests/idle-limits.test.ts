import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, type LoggedIn, PASSWORD } from './auth.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const ORIGIN = 'https://chat.example.test';
const clock = manualClock();

let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start({ clock });
});
afterAll(() => auth.stop());

const fromPage = { headers: { origin: ORIGIN } };
const logInFromPage = ({ username }: { username: string }) =>
  auth.post('/api/auth/login', { username, password: PASSWORD }, fromPage);
const refreshByCookie = (refreshToken: string) =>
  auth.post('/api/auth/refresh', undefined, { headers: { origin: ORIGIN, cookie: `refreshToken=${refreshToken}` } });

/** Minutes that an access token lives. */
function lifeOf(accessToken: string): number {
  const { iat, exp } = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString());
  return (exp - iat) / 60;
}
/** Max-Age of the cookies of the access token, the refresh token and the device, in seconds. */
const agesOf = ({ headers }: { headers: Headers }) =>
  headers.getSetCookie().map((cookie) => Number(/Max-Age=(\d+)/.exec(cookie)?.[1]));

describe('a session of a program', () => {
  it('lives for 7 days without a refresh, with access tokens of 15 minutes', async () => {
    const alice = await auth.loggedIn();
    expect(lifeOf(alice.accessToken)).toBe(15);
    clock.advance(7 * DAY - 1);
    const { body } = await auth.refresh(alice.refreshToken);
    clock.advance(7 * DAY);
    expect((await auth.refresh(body.refreshToken)).status).toBe(401);
  });
});

describe('a session of a browser', () => {
  it('ends after 60 minutes without a refresh, and never while there are some', async () => {
    const alice = await auth.member();
    const login = await logInFromPage(alice);
    expect(agesOf(login)).toEqual([15 * 60, 60 * 60, 90 * 24 * 3600]);
    let token = login.body.refreshToken;
    for (let round = 0; round < 5; round += 1) {
      clock.advance(60 * MINUTE - 1);
      const { status, body } = await refreshByCookie(token);
      expect(status).toBe(200);
      token = body.refreshToken;
    }
    clock.advance(60 * MINUTE);
    expect((await refreshByCookie(token)).status).toBe(401);
  });

  it('is one as soon as a cookie has refreshed it, and stays one when its token comes in the body', async () => {
    const alice = await auth.loggedIn();
    const first = await refreshByCookie(alice.refreshToken);
    expect(first.status).toBe(200);
    const second = await auth.refresh(first.body.refreshToken);
    clock.advance(60 * MINUTE - 1);
    const third = await auth.refresh(second.body.refreshToken);
    expect(third.status).toBe(200);
    clock.advance(60 * MINUTE);
    expect((await auth.refresh(third.body.refreshToken)).status).toBe(401);
  });

  it('does not wake up by a cookie that is older than 60 minutes, although a program opened it', async () => {
    const alice = await auth.loggedIn();
    clock.advance(60 * MINUTE);
    expect((await refreshByCookie(alice.refreshToken)).status).toBe(401);
    expect((await auth.refresh(alice.refreshToken)).status).toBe(200);
  });
});

describe('a session of an administrator', () => {
  it.each(['program', 'browser'] as const)('in a %s ends after 15 minutes without a refresh', async (kind) => {
    const root: LoggedIn = await auth.admin();
    const { body } = kind === 'browser' ? await logInFromPage(root) : await auth.logIn(root.username, PASSWORD);
    clock.advance(15 * MINUTE - 1);
    const refreshed = await auth.refresh(body.refreshToken);
    expect(refreshed.status).toBe(200);
    clock.advance(15 * MINUTE);
    expect((await auth.refresh(refreshed.body.refreshToken)).status).toBe(401);
  });

  it('has access tokens of a third of that, so that whoever is active refreshes in time', async () => {
    const root = await auth.admin();
    expect(lifeOf(root.accessToken)).toBe(5);
    const { body } = await auth.refresh(root.refreshToken);
    expect(lifeOf(body.accessToken)).toBe(5);
    clock.advance(5 * MINUTE + 29_000);
    expect((await auth.profile(body.accessToken)).status).toBe(200);
    clock.advance(1000);
    expect((await auth.profile(body.accessToken)).status).toBe(401);
  });

  it('ends for a former version of the limits too, at its next refresh', async () => {
    const root = await auth.admin();
    const later = new Date(clock.now() + 7 * DAY);
    await auth.db.collection('sessions').updateMany({}, { $set: { idleUntil: later } });
    clock.advance(15 * MINUTE);
    expect((await auth.refresh(root.refreshToken)).status).toBe(401);
  });
});

describe('the cookies in production', () => {
  it('can be set by this host alone, and end with the session', async () => {
    const production = await Auth.start({
      clock,
      env: {
        NODE_ENV: 'production',
        RATE_LIMITS: 'true',
        BCRYPT_COST: '12',
        MAIL_FROM: 'chat@example.test',
        METRICS_TOKEN: 'a-token-of-more-than-thirty-two-letters',
      },
    });
    try {
      const { username } = await production.admin();
      const login = await production.post('/api/auth/login', { username, password: PASSWORD }, fromPage);
      const cookies = login.headers.getSetCookie();
      expect(cookies.map((cookie) => cookie.split('=')[0])).toEqual([
        '__Host-accessToken',
        '__Host-refreshToken',
        '__Host-trustedDevice',
      ]);
      for (const cookie of cookies) {
        for (const attribute of ['Path=/', 'HttpOnly', 'Secure', 'SameSite=Strict'])
          expect(cookie.split('; ')).toContain(attribute);
        expect(cookie).not.toMatch(/Domain=/i);
      }
      expect(agesOf(login)).toEqual([5 * 60, 15 * 60, 90 * 24 * 3600]);

      const { accessToken, refreshToken } = login.body;
      const profileBy = (cookie: string) => production.call('GET', '/api/profile', { headers: { cookie } });
      expect((await profileBy(`__Host-accessToken=${accessToken}`)).status).toBe(200);
      // Without the prefix a sister domain may have planted it.
      expect((await profileBy(`accessToken=${accessToken}`)).status).toBe(401);
      const refreshBy = (cookie: string, origin: string) =>
        production.post('/api/auth/refresh', undefined, { headers: { cookie, origin } });
      expect((await refreshBy(`refreshToken=${refreshToken}`, ORIGIN)).body.code).toBe('refresh_token_required');
      const foreign = await refreshBy(`__Host-refreshToken=${refreshToken}`, 'https://evil.test');
      expect([foreign.status, foreign.body.code]).toEqual([403, 'csrf_rejected']);

      const logOutFrom = (origin: string) =>
        production.post('/api/auth/logout', undefined, {
          headers: { origin, cookie: `__Host-refreshToken=${refreshToken}` },
        });
      expect((await logOutFrom('https://evil.test')).status).toBe(200);
      expect((await profileBy(`__Host-accessToken=${accessToken}`)).status).toBe(200);
      await logOutFrom(ORIGIN);
      expect((await profileBy(`__Host-accessToken=${accessToken}`)).status).toBe(401);
    } finally {
      await production.stop();
    }
  });
});
