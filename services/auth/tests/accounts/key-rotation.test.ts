import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { readAuthConfig } from '../../src/config.ts';
import { createDeps } from '../../src/deps.ts';
import { Auth, type LoggedIn, PASSWORD, tokenIn } from '../auth.ts';
import { type App, challengeOf, setUp, verify } from '../mfa/factor.ts';

const newSecret = () => randomBytes(36).toString('base64url');
const RINGS = ['TOKEN_HASH_SECRET', 'MFA_ENCRYPTION_KEYS', 'PASSWORD_PEPPER'] as const;
type Ring = (typeof RINGS)[number];
const OLD = Object.fromEntries(RINGS.map((name) => [name, `old:${newSecret()}`])) as Record<Ring, string>;
const NEW = Object.fromEntries(RINGS.map((name) => [name, `new:${newSecret()}`])) as Record<Ring, string>;
const both = Object.fromEntries(RINGS.map((name) => [name, `${NEW[name]},${OLD[name]}`]));

/** One database under three configurations: before, while and after its keys are replaced. */
const clock = manualClock();
let before: Auth;
let during: Auth;
let after: Auth;
let alice: LoggedIn;
let bob: LoggedIn;
let carol: LoggedIn;
let dora: LoggedIn;
let app: App;
let carols: App;
let bobsToken: string;
beforeAll(async () => {
  before = await Auth.start({ clock, env: OLD });
  // All of this comes before the others start: they would write its mails too, with a key that is not known here.
  alice = await before.loggedIn();
  app = await setUp(before, clock, alice);
  carol = await before.loggedIn('carol');
  carols = await setUp(before, clock, carol);
  dora = await before.loggedIn('dora');
  bob = await before.loggedIn('bob');
  await before.post('/api/auth/forgot-password', { email: bob.email });
  bobsToken = tokenIn(await before.mails.waitForMail(bob.email, ({ subject }) => subject.includes('password')));
  during = await Auth.start({ clock, env: { ...before.env, ...both } });
  after = await Auth.start({ clock, env: { ...before.env, ...NEW } });
});
afterAll(async () => {
  await after.stop({ keepDatabase: true });
  await during.stop({ keepDatabase: true });
  await before.stop();
});

const newChallenge = (auth: Auth) => challengeOf(auth, alice);
const [first, second] = [() => app.backupCodes[0] ?? '', () => app.backupCodes[1] ?? ''];

it('takes backup codes, half-finished logins and mailed codes from before while their key is still listed', async () => {
  const challenge = await newChallenge(before);
  expect((await verify(during, challenge, first())).status).toBe(200);
  expect((await verify(during, await newChallenge(during), first())).status).toBe(401);
  const token = bobsToken;
  const newPassword = 'a-short-walk-in-the-snow';
  expect((await during.post('/api/auth/reset-password', { token, newPassword })).status).toBe(200);
  expect((await during.post('/api/auth/reset-password', { token, newPassword: PASSWORD })).status).toBe(400);
});

it('seals second factors anew without a login, also while one is used, so that the old key can go', async () => {
  const deps = await createDeps({ ...readAuthConfig(during.env), logLevel: 'silent' }, { clock });
  try {
    await deps.connected;
    const challenge = await challengeOf(during, carol);
    const [verified, renewed] = await Promise.all([
      verify(during, challenge, carols.code()),
      deps.flows.renewSecrets(),
    ]);
    expect(verified.status).toBe(200);
    expect(renewed.secondFactors).toEqual({ checked: 2, sealedAnew: expect.any(Number) });
    expect(renewed.peppers).toEqual(expect.arrayContaining([{ kid: 'old', accounts: expect.any(Number) }]));
    expect((await deps.flows.renewSecrets()).secondFactors).toEqual({ checked: 2, sealedAnew: 0 });
  } finally {
    await deps.close();
  }
  clock.advance(30_000);
  const again = await during.logIn(carol.username, carol.password);
  expect((await verify(during, again.body.challenge, carols.code())).status).toBe(200);
  clock.advance(30_000);
  // The password was checked under both peppers by now, and is stored under the new one.
  const last = await after.logIn(carol.username, carol.password);
  expect((await verify(after, last.body.challenge, carols.code())).status).toBe(200);
});

it('refuses what was made under a key that is gone, as it refuses anything wrong', async () => {
  const unknown = await after.logIn('nobody-of-that-name', dora.password);
  const gone = await after.logIn(dora.username, dora.password);
  expect([gone.status, gone.body.code]).toEqual([401, 'invalid_credentials']);
  expect(gone.body).toEqual({ ...unknown.body, requestId: expect.any(String) });
  // Her password was stored under the new pepper when she logged in above; her backup codes cannot be.
  expect((await verify(after, await newChallenge(after), second())).status).toBe(401);
});
