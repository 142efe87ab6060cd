import { describe, expect, it } from '@jest/globals';
import { createRefreshVerifier, createServiceVerifier, createVerifier, type TokenError } from '../src/index.ts';
import {
  accessPayload,
  ALICE,
  forge,
  ISSUER,
  newSecret,
  NOW,
  plainPayload,
  servicePayload,
  standingClock,
  verdict,
} from './forge.ts';

const secret = newSecret();
const keys = [{ kid: 'k1', secret }];
const common = { keys, issuer: ISSUER, audience: 'accounting' } as const;

const strict = createVerifier({ ...common, clock: standingClock() });
const compatible = createVerifier({ ...common, profile: 'compatible', clock: standingClock() });
const service = createServiceVerifier({ keys, audience: 'accounting', clock: standingClock() });
const refresh = createRefreshVerifier({ keys, issuer: ISSUER, clock: standingClock() });
const refreshPayload = (over: object = {}) =>
  accessPayload({ type: 'refresh', aud: 'auth', exp: NOW + 600_000, ...over });

const strictly = (over: object) => verdict(strict.verifyAccess(forge(secret, accessPayload(over))));

describe('claims of access tokens', () => {
  it('returns the claims, the role under its present name and no claim it does not know', async () => {
    const claims = await strict.verifyAccess(forge(secret, accessPayload({ role: 'user', wid: 'w1', isAdmin: true })));
    expect(claims).toEqual({ ...accessPayload(), wid: 'w1' });
  });

  it.each(['sub', 'role', 'type', 'iat', 'exp', 'jti', 'iss', 'aud'])(
    'refuses a strict token without %s',
    async (claim) => {
      expect(await strictly({ [claim]: undefined })).toBe('bad-claims');
      expect(await strictly({ [claim]: null })).toBe('bad-claims');
    },
  );

  it.each(['sub', 'role', 'type', 'iat', 'exp'])('refuses a compatible token without %s', async (claim) => {
    expect(await verdict(compatible.verifyAccess(forge(secret, plainPayload({ [claim]: undefined }))))).toBe(
      'bad-claims',
    );
  });

  it('accepts the claims of the service document in the compatible profile only', async () => {
    const token = forge(secret, plainPayload());
    await expect(compatible.verifyAccess(token)).resolves.toEqual({ ...plainPayload(), role: 'enduser' });
    expect(await verdict(strict.verifyAccess(token))).toBe('bad-claims');
  });

  it('still checks the audience and issuer that a compatible token does carry', async () => {
    const judge = (over: object) => verdict(compatible.verifyAccess(forge(secret, plainPayload(over))));
    expect(await judge({ aud: 'auth' })).toBe('wrong-audience');
    expect(await judge({ iss: 'someone-else' })).toBe('wrong-issuer');
    expect(await judge({ aud: ['accounting'], iss: ISSUER })).toBe('accepted');
  });

  it.each([
    { sub: { $gt: '' } },
    { sub: [ALICE] },
    { sub: 7 },
    { sub: ALICE.toUpperCase() },
    { sub: `${ALICE}00` },
    { role: 'root' },
    { role: ['admin'] },
    { username: '' },
    { username: 'x'.repeat(255) },
    { email: { toString: 'x' } },
    { jti: '' },
    { jti: 'x'.repeat(129) },
    { sid: 'line\nbreak' },
    { wid: 5 },
    { aud: [] },
    { aud: { accounting: true } },
    { aud: Array.from({ length: 17 }, () => 'accounting') },
    { exp: String(NOW + 900) },
    { exp: (NOW + 900) * 1000 },
    { exp: NOW + 0.5 },
    { iat: -1 },
    { iat: true },
    { nbf: 'soon' },
  ])('refuses the signed claim %j', async (over) => {
    expect(await strictly(over)).toBe('bad-claims');
  });

  it('refuses times beyond any number, which JSON text can spell', async () => {
    for (const spelling of ['1e309', '-1e309', '1e17', '9007199254740993']) {
      const payload = JSON.stringify(accessPayload()).replace(/"exp":\d+/, `"exp":${spelling}`);
      expect(await verdict(strict.verifyAccess(forge(secret, payload)))).toBe('bad-claims');
    }
  });

  it('names the faulty claims, but no value, in the error', async () => {
    const error = await strict.verifyAccess(forge(secret, accessPayload({ sub: 'canary-value', exp: 'x' }))).then(
      () => undefined,
      (refused: TokenError) => refused,
    );
    expect(error?.message).toBe('token refused: bad-claims (exp, sub)');
  });

  it.each([
    ['accounting', 'accepted'],
    [['accounting'], 'accepted'],
    [['auth', 'accounting'], 'accepted'],
    ['auth', 'wrong-audience'],
    [['auth', 'chat-proxy'], 'wrong-audience'],
    ['accounting ', 'wrong-audience'],
    ['xaccountingx', 'wrong-audience'],
  ])('judges aud %j as %s in accounting', async (aud, expected) => {
    expect(await strictly({ aud })).toBe(expected);
  });

  it('refuses a token of another issuer', async () => {
    expect(await strictly({ iss: 'tollgate.example.test' })).toBe('wrong-issuer');
  });
});

describe('times', () => {
  it.each([
    [{ exp: NOW - 29 }, 'accepted'],
    [{ exp: NOW - 30 }, 'expired'],
    [{ exp: NOW - 31 }, 'expired'],
    [{ nbf: NOW + 29 }, 'accepted'],
    [{ nbf: NOW + 31 }, 'not-yet-valid'],
    [{ iat: NOW + 29 }, 'accepted'],
    [{ iat: NOW + 31 }, 'not-yet-valid'],
  ])('allows clocks to be 30 s apart: %j is %s', async (over, expected) => {
    expect(await strictly({ iat: NOW - 900, ...over })).toBe(expected);
  });
});

describe('kinds of token', () => {
  it.each(['refresh', 'service', 'email-verify', 'password-reset', 'mfa-pending', 'selection', 'Access', ''])(
    'refuses a %s token as an access token',
    async (type) => {
      expect(await strictly({ type })).toBe('wrong-type');
      expect(await verdict(compatible.verifyAccess(forge(secret, plainPayload({ type }))))).toBe('wrong-type');
    },
  );

  it('refuses an access token and a service token at refresh', async () => {
    const judge = (payload: object) => verdict(refresh.verifyRefresh(forge(secret, payload)));
    expect(await judge(accessPayload())).toBe('wrong-type');
    expect(await judge(servicePayload({ aud: 'auth' }))).toBe('wrong-type');
    expect(await judge(refreshPayload())).toBe('accepted');
    expect(await judge(refreshPayload({ aud: 'accounting' }))).toBe('wrong-audience');
    expect(await judge(refreshPayload({ iss: 'other' }))).toBe('wrong-issuer');
    expect(await judge(refreshPayload({ sid: undefined }))).toBe('bad-claims');
    expect(await judge(refreshPayload({ exp: NOW - 31 }))).toBe('expired');
    expect(await verdict(refresh.verifyRefresh(undefined))).toBe('missing');
  });

  it('refuses a user token where a service must call, even an admin one', async () => {
    const token = forge(secret, accessPayload({ role: 'admin', sub: 'chat-proxy', aud: 'accounting' }));
    expect(await verdict(service.verifyService(token))).toBe('wrong-type');
  });
});

describe('service tokens', () => {
  const judge = (over: object) => verdict(service.verifyService(forge(secret, servicePayload(over))));

  it('says which service calls', async () => {
    await expect(service.verifyService(forge(secret, servicePayload()))).resolves.toMatchObject({ sub: 'chat-proxy' });
  });

  it.each([
    [{ sub: 'somebody' }, 'bad-claims'],
    [{ sub: ALICE }, 'bad-claims'],
    [{ aud: 'auth' }, 'wrong-audience'],
    [{ aud: ['accounting'] }, 'bad-claims'],
    [{ aud: undefined }, 'bad-claims'],
    [{ jti: undefined }, 'bad-claims'],
    [{ exp: undefined }, 'bad-claims'],
    [{ exp: NOW + 61 }, 'bad-claims'],
    [{ iat: NOW - 3600 }, 'bad-claims'],
    [{ iat: NOW - 91, exp: NOW - 31 }, 'expired'],
  ])('judges %j as %s', async (over, expected) => {
    expect(await judge(over)).toBe(expected);
  });
});
