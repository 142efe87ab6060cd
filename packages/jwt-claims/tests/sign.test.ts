import { describe, expect, it } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { createRefreshVerifier, createServiceVerifier, createVerifier } from '../src/index.ts';
import { createServiceTokenSource, createSigner } from '../src/sign.ts';
import { ALICE, ISSUER, newSecret, NOW, standingClock, verdict } from './forge.ts';

const DAY = 86_400;

function setUp() {
  const clock = standingClock();
  const accessKeys = [
    { kid: 'a2', secret: newSecret() },
    { kid: 'a1', secret: newSecret() },
  ];
  const refreshKeys = [{ kid: 'r1', secret: newSecret() }];
  const signer = createSigner({
    access: { keys: accessKeys, ttlSeconds: 900 },
    refresh: { keys: refreshKeys, ttlSeconds: 7 * DAY },
    issuer: ISSUER,
    audience: ['auth', 'chat-proxy', 'accounting'],
    clock,
  });
  const access = (audience: 'auth' | 'chat-proxy' | 'accounting') =>
    createVerifier({ keys: accessKeys, issuer: ISSUER, audience, clock });
  const refresh = createRefreshVerifier({ keys: refreshKeys, issuer: ISSUER, clock });
  return { clock, signer, access, refresh };
}

const alice = {
  sub: ALICE,
  username: 'alice',
  email: 'alice@example.test',
  role: 'enduser',
  sid: 'family-1',
  wid: 'workspace-1',
} as const;

describe('signing user tokens', () => {
  it('signs access tokens with the current key that all three services accept', async () => {
    const { signer, access } = setUp();
    const { token, claims } = await signer.signAccess(alice);
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'JWT', kid: 'a2' });
    expect(claims).toMatchObject({ ...alice, iat: NOW, exp: NOW + 900 });
    for (const service of ['auth', 'chat-proxy', 'accounting'] as const) {
      await expect(access(service).verifyAccess(token)).resolves.toEqual(claims);
    }
  });

  it('gives two tokens of one second different ids and texts', async () => {
    const { signer } = setUp();
    const [one, two] = await Promise.all([signer.signAccess(alice), signer.signAccess(alice)]);
    expect(one.claims.jti).not.toBe(two.claims.jti);
    expect(one.token).not.toBe(two.token);
  });

  it('keeps the two kinds apart: other key, other type', async () => {
    const { signer, access, refresh } = setUp();
    const pair = await Promise.all([
      signer.signAccess(alice),
      signer.signRefresh({ sub: ALICE, sid: 'family-1', notAfter: NOW + 30 * DAY }),
    ]);
    expect(await verdict(access('auth').verifyAccess(pair[1].token))).toBe('unknown-key');
    expect(await verdict(refresh.verifyRefresh(pair[0].token))).toBe('unknown-key');
    await expect(refresh.verifyRefresh(pair[1].token)).resolves.toEqual(pair[1].claims);
  });

  it('ends a refresh token at the end of its family', async () => {
    const { signer } = setUp();
    const expOf = async (notAfter: number) =>
      (await signer.signRefresh({ sub: ALICE, sid: 'family-1', notAfter })).claims.exp;
    expect(await expOf(NOW + 30 * DAY)).toBe(NOW + 7 * DAY);
    expect(await expOf(NOW + 2 * DAY)).toBe(NOW + 2 * DAY);
  });

  it('refuses to sign what no verifier would take', async () => {
    const { signer } = setUp();
    expect(await verdict(signer.signAccess({ ...alice, sub: 'alice' }))).toBe('bad-claims');
  });
});

describe('service tokens', () => {
  const keys = [{ kid: 's1', secret: newSecret() }];

  function source() {
    const clock = standingClock();
    const verifier = createServiceVerifier({ keys, audience: 'accounting', clock });
    return { clock, verifier, tokens: createServiceTokenSource({ service: 'chat-proxy', keys, clock }) };
  }

  it('are accepted by the called service and no other', async () => {
    const { verifier, tokens } = source();
    const token = await tokens.tokenFor('accounting');
    await expect(verifier.verifyService(token)).resolves.toMatchObject({ sub: 'chat-proxy', aud: 'accounting' });
    expect(await verdict(verifier.verifyService(await tokens.tokenFor('auth')))).toBe('wrong-audience');
  });

  it('are one token for all calls until a third of its life is left, then a new one', async () => {
    const { clock, tokens } = source();
    const calls = await Promise.all([tokens.tokenFor('accounting'), tokens.tokenFor('accounting')]);
    expect(calls[0]).toBe(calls[1]);
    clock.set(NOW + 39);
    expect(await tokens.tokenFor('accounting')).toBe(calls[0]);
    clock.set(NOW + 40);
    const next = await tokens.tokenFor('accounting');
    expect(next).not.toBe(calls[0]);
    expect(decodeJwt(next)).toMatchObject({ iat: NOW + 40, exp: NOW + 100 });
  });

  it('are made anew when the clock was set back', async () => {
    const { clock, tokens } = source();
    const before = await tokens.tokenFor('accounting');
    clock.set(NOW - 3600);
    expect(await tokens.tokenFor('accounting')).not.toBe(before);
  });

  it('live 60 s at most', () => {
    for (const ttlSeconds of [0, -1, 61, Number.NaN]) {
      expect(() => createServiceTokenSource({ service: 'chat-proxy', keys, ttlSeconds })).toThrow(RangeError);
    }
  });
});
