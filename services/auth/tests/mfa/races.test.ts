import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, statuses, times } from '../auth.ts';
import { appOf, challengeOf, setUp, stepUp, verify } from './factor.ts';

const clock = manualClock();
let auth: Auth;
let second: Auth;
beforeAll(async () => {
  auth = await Auth.start({ clock });
  second = await Auth.start({ env: auth.env, clock });
});
afterAll(async () => {
  await second.stop({ keepDatabase: true });
  await auth.stop();
});

const either = (index: number): Auth => (index % 2 === 0 ? auth : second);

describe('fifty simultaneous uses at two instances', () => {
  it('of one code, with several logins: one opens a session', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    const challenges = await times(5, () => challengeOf(auth, alice));
    const code = app.code();
    const answers = await times(50, (index) => verify(either(index), challenges[index % 5] ?? '', code));
    expect(statuses(answers)).toEqual({ 200: 1, 401: 49 });
    expect(await auth.db.collection('sessions').countDocuments()).toBe(2);
  });

  it('of one code for one login: one opens a session', async () => {
    const alice = await auth.loggedIn();
    const app = await setUp(auth, clock, alice);
    const challenge = await challengeOf(auth, alice);
    const code = app.code();
    expect(statuses(await times(50, (index) => verify(either(index), challenge, code)))).toEqual({ 200: 1, 401: 49 });
  });

  it('of one backup code: one opens a session, and nine codes are left', async () => {
    const alice = await auth.loggedIn();
    const { backupCodes } = await setUp(auth, clock, alice);
    const challenges = await times(5, () => challengeOf(auth, alice));
    const use = (index: number) => verify(either(index), challenges[index % 5] ?? '', backupCodes[0] ?? '');
    expect(statuses(await times(50, use))).toEqual({ 200: 1, 401: 49 });
    const { body } = await auth.call('GET', '/api/mfa', { token: alice.accessToken });
    expect(body).toMatchObject({ backupCodesLeft: 9 });
  });

  it('of ten backup codes for one login: one opens a session', async () => {
    const alice = await auth.loggedIn();
    const { backupCodes } = await setUp(auth, clock, alice);
    const challenge = await challengeOf(auth, alice);
    const answers = await times(10, (index) => verify(either(index), challenge, backupCodes[index] ?? ''));
    expect(statuses(answers)).toEqual({ 200: 1, 401: 9 });
  });

  it('of the first code: one puts the factor in force, and its backup codes are the ones that count', async () => {
    const alice = await auth.loggedIn();
    await stepUp(auth, alice);
    const token = alice.accessToken;
    const app = appOf(clock, (await auth.post('/api/mfa/totp/enrol', undefined, { token })).body.secret);
    const code = app.code();
    const answers = await times(50, (index) => either(index).post('/api/mfa/totp/confirm', { code }, { token }));
    expect(statuses(answers)).toEqual({ 200: 1, 401: 49 });
    const winner = answers.find(({ status }) => status === 200);
    const backup = winner?.body.backupCodes[0] ?? '';
    expect((await verify(auth, await challengeOf(auth, alice), backup)).status).toBe(200);
  });

  it('of the way to a new secret: the last one shown is the one that counts, and nothing breaks', async () => {
    const alice = await auth.loggedIn();
    await stepUp(auth, alice);
    const token = alice.accessToken;
    const answers = await times(10, (index) => either(index).post('/api/mfa/totp/enrol', undefined, { token }));
    expect(statuses(answers)).toEqual({ 200: 10 });
    const confirmed = [];
    for (const { body } of answers) {
      const code = appOf(clock, body.secret).code();
      confirmed.push(await auth.post('/api/mfa/totp/confirm', { code }, { token }));
    }
    expect(statuses(confirmed)).toEqual({ 200: 1, 401: 9 });
  });
});

describe('wrong codes', () => {
  it('lock the factor for 15 minutes after ten, across logins, kinds of code and instances, for nobody else', async () => {
    const limited = { ...auth.env, RATE_LIMITS: 'true', LIMIT_LOG_IN_PER_ADDRESS: '1000/15m' };
    const [one, two] = [await Auth.start({ env: limited, clock }), await Auth.start({ env: limited, clock })];
    try {
      const [alice, bob] = [await auth.loggedIn(), await auth.loggedIn('bob')];
      const [hers, his] = [await setUp(one, clock, alice), await setUp(one, clock, bob)];
      const challenges = await times(3, () => challengeOf(one, alice));
      const wrong = [hers.code(40), 'zzzz-zzzz-zzzz'];
      const guess = (index: number) =>
        verify(index % 2 === 0 ? one : two, challenges[index % 3] ?? '', wrong[index % wrong.length] ?? '');
      expect(statuses(await times(60, guess))).toEqual({ 401: 10, 429: 50 });

      for (const code of [hers.code(), hers.backupCodes[0] ?? '']) {
        const refused = await verify(two, await challengeOf(two, alice), code);
        expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(800);
        expect((await stepUp(one, alice, code)).status).toBe(429);
      }
      expect((await one.profile(alice.accessToken)).status).toBe(200);
      expect((await verify(two, await challengeOf(two, bob), his.code())).status).toBe(200);
    } finally {
      await two.stop({ keepDatabase: true });
      await one.stop({ keepDatabase: true });
    }
  });

  it('are forgotten after a right one', async () => {
    const limited = await Auth.start({ env: { ...auth.env, RATE_LIMITS: 'true' }, clock });
    try {
      const alice = await auth.loggedIn();
      const app = await setUp(limited, clock, alice);
      for (let round = 0; round < 2; round += 1) {
        const challenge = await challengeOf(limited, alice);
        for (let attempt = 0; attempt < 9; attempt += 1)
          expect((await verify(limited, challenge, app.code(40))).status).toBe(401);
        expect((await verify(limited, challenge, app.code())).status).toBe(200);
        clock.advance(30_000);
      }
    } finally {
      await limited.stop({ keepDatabase: true });
    }
  });
});
