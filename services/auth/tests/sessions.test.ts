import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, PASSWORD, statuses, times } from './auth.ts';

const SECOND = 1000;
const DAY = 86_400 * SECOND;
const clock = manualClock();

let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start({ clock });
});
afterAll(() => auth.stop());

describe('refreshing', () => {
  it('gives new tokens and voids the old refresh token, again and again', async () => {
    const alice = await auth.loggedIn();
    let token = alice.refreshToken;
    for (let round = 0; round < 3; round += 1) {
      clock.advance(60 * SECOND);
      const { status, body } = await auth.refresh(token);
      expect([status, body.message]).toEqual([200, 'Token refreshed successfully']);
      expect(body.refreshToken).not.toBe(token);
      expect((await auth.profile(body.accessToken)).status).toBe(200);
      token = body.refreshToken;
    }
  });

  it('answers 20 simultaneous uses of one token with one successor, and the session lives', async () => {
    const alice = await auth.loggedIn();
    const answers = await times(20, () => auth.refresh(alice.refreshToken));
    expect(statuses(answers)).toEqual({ 200: 20 });
    const successors = new Set(answers.map(({ body }) => body.refreshToken));
    expect(successors.size).toBe(1);
    const [successor = ''] = successors;
    expect((await auth.refresh(successor)).status).toBe(200);
    expect(
      await auth.db.collection('sessions').countDocuments({ userId: { $exists: true }, endReason: 'refresh-reuse' }),
    ).toBe(0);
  });

  it('does so too when the uses are spread over two instances of the service', async () => {
    const second = await Auth.start({ env: auth.env, clock });
    try {
      const alice = await auth.loggedIn();
      const answers = await times(20, (index) => (index % 2 === 0 ? auth : second).refresh(alice.refreshToken));
      expect(statuses(answers)).toEqual({ 200: 20 });
      const [successor = '', ...others] = new Set(answers.map(({ body }) => body.refreshToken));
      expect(others).toEqual([]);
      expect((await second.refresh(successor)).status).toBe(200);
    } finally {
      await second.stop({ keepDatabase: true });
    }
  });

  it('gives the same successor within the grace, and ends the whole family after it', async () => {
    const alice = await auth.loggedIn();
    const first = await auth.refresh(alice.refreshToken);
    clock.advance(10 * SECOND);
    expect((await auth.refresh(alice.refreshToken)).body.refreshToken).toBe(first.body.refreshToken);
    clock.advance(1);
    const replay = await auth.refresh(alice.refreshToken);
    expect([replay.status, replay.body.error]).toEqual([401, 'Invalid refresh token']);
    expect((await auth.refresh(first.body.refreshToken)).status).toBe(401);
    expect((await auth.profile(first.body.accessToken)).status).toBe(401);
    expect(await auth.auditOf('session.refresh-reused')).toHaveLength(1);
    await auth.mails.waitForMail(alice.email, (mail) => mail.subject === 'A session was ended');
  });

  it('takes the second-last token for stolen even within the grace', async () => {
    const alice = await auth.loggedIn();
    const first = await auth.refresh(alice.refreshToken);
    const second = await auth.refresh(first.body.refreshToken);
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    expect((await auth.refresh(second.body.refreshToken)).status).toBe(401);
  });

  it('ends after 7 idle days', async () => {
    const alice = await auth.loggedIn();
    clock.advance(7 * DAY - 1);
    const { body } = await auth.refresh(alice.refreshToken);
    clock.advance(7 * DAY);
    expect((await auth.refresh(body.refreshToken)).status).toBe(401);
  });

  it('ends after 30 days, however often it is refreshed', async () => {
    let token = (await auth.loggedIn()).refreshToken;
    for (let day = 1; day < 30; day += 1) {
      clock.advance(DAY);
      const { status, body } = await auth.refresh(token);
      expect(status).toBe(200);
      token = body.refreshToken;
    }
    clock.advance(DAY);
    expect((await auth.refresh(token)).status).toBe(401);
  });

  it('says what is missing, and refuses access tokens and foreign text', async () => {
    const alice = await auth.loggedIn();
    const missing = await auth.post('/api/auth/refresh', {});
    expect([missing.status, missing.body.error]).toEqual([400, 'Refresh token is required']);
    expect((await auth.post('/api/auth/refresh')).status).toBe(400);
    expect((await auth.refresh(alice.accessToken)).body.code).toBe('invalid_refresh_token');
    expect((await auth.refresh('something')).status).toBe(401);
    expect((await auth.profile(alice.refreshToken)).status).toBe(401);
  });

  it('stores tokens as hashes only', async () => {
    const alice = await auth.loggedIn();
    const { body } = await auth.refresh(alice.refreshToken);
    const stored = JSON.stringify(await auth.db.collection('sessions').find().toArray());
    for (const token of [alice.refreshToken, body.refreshToken, body.accessToken]) {
      expect(stored).not.toContain(token);
      expect(stored).not.toContain(String(token).split('.')[2]);
    }
  });
});

describe('logging out', () => {
  it('ends the session of a refresh token, even of a rotated one, and always answers 200', async () => {
    const alice = await auth.loggedIn();
    const { body } = await auth.refresh(alice.refreshToken);
    const logOut = (refreshToken?: string) =>
      auth.post('/api/auth/logout', refreshToken === undefined ? undefined : { refreshToken });
    expect((await logOut(alice.refreshToken)).body).toEqual({ message: 'Logout successful' });
    expect((await auth.refresh(body.refreshToken)).status).toBe(401);
    expect((await auth.profile(body.accessToken)).status).toBe(401);
    expect((await logOut(alice.refreshToken)).status).toBe(200);
    expect((await logOut('nonsense')).status).toBe(200);
    expect((await logOut()).headers.getSetCookie()[0]).toMatch(/^accessToken=; Max-Age=0/);
  });

  it('ends the session of the access token when no refresh token is sent, and no other', async () => {
    const alice = await auth.loggedIn();
    const other = await auth.session(alice);
    await auth.post('/api/auth/logout', undefined, { token: alice.accessToken });
    expect((await auth.refresh(alice.refreshToken)).status).toBe(401);
    expect((await auth.refresh(other.refreshToken)).status).toBe(200);
  });

  it('ends every session of the user with logout-all', async () => {
    const alice = await auth.loggedIn();
    const [other, bob] = [await auth.session(alice), await auth.loggedIn('bob')];
    const answer = await auth.post('/api/auth/logout-all', undefined, { token: alice.accessToken });
    expect([answer.status, answer.body]).toEqual([200, { message: 'Logged out from all devices' }]);
    for (const { refreshToken } of [alice, other]) expect((await auth.refresh(refreshToken)).status).toBe(401);
    expect((await auth.refresh(bob.refreshToken)).status).toBe(200);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(200);
  });
});
