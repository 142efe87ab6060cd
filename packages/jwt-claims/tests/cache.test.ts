import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type AccessClaims, createVerifier } from '../src/index.ts';
import { createTokenCache } from '../src/token-cache.ts';
import { accessPayload, forge, ISSUER, newSecret, NOW, standingClock, verdict } from './forge.ts';

const secret = newSecret();

/** A verifier whose full checks can be counted: each asks the key ring's clock once more than a remembered answer does. */
function setUp(over: { cacheSize?: number } = {}) {
  const clock = standingClock();
  const revoked = new Set<string>();
  const asked: string[] = [];
  const verifier = createVerifier({
    keys: [{ kid: 'k1', secret }],
    issuer: ISSUER,
    audience: 'auth',
    clock,
    isRevoked(claims) {
      asked.push(claims.jti ?? '');
      return revoked.has(claims.sid ?? '');
    },
    ...over,
  });
  return { verifier, clock, revoked, asked, token: forge(secret, accessPayload()) };
}

/** Both calls gave the same object only if the second one was remembered. */
async function isRemembered(verifier: ReturnType<typeof setUp>['verifier'], token: string): Promise<boolean> {
  return (await verifier.verifyAccess(token)) === (await verifier.verifyAccess(token));
}

describe('remembered tokens', () => {
  it('are kept under the whole SHA-256 of their text, and never as text', () => {
    const { token } = setUp();
    const cache = createTokenCache<{ sub: string }>(1);
    expect(cache.key(token)).toBe(createHash('sha256').update(token).digest('base64url'));
    expect(cache.key(token)).toHaveLength(43);
  });

  it('answers the second call from memory with claims nobody can change', async () => {
    const { verifier, token } = setUp();
    expect(await isRemembered(verifier, token)).toBe(true);
    const claims = (await verifier.verifyAccess(token)) as { role: string; aud: string[] };
    expect(() => (claims.role = 'admin')).toThrow(TypeError);
    expect(() => claims.aud.push('other')).toThrow(TypeError);
  });

  it('remembers nothing beyond exp, while the tolerance still accepts the token', async () => {
    const { verifier, clock, token } = setUp();
    clock.set(NOW + 899);
    const before = await verifier.verifyAccess(token);
    clock.set(NOW + 900);
    expect(await verifier.verifyAccess(token)).not.toBe(before);
    expect(await isRemembered(verifier, token)).toBe(false);
    clock.set(NOW + 931);
    expect(await verdict(verifier.verifyAccess(token))).toBe('expired');
  });

  it('refuses a remembered token from the moment its session is revoked', async () => {
    const { verifier, revoked, token } = setUp();
    await verifier.verifyAccess(token);
    revoked.add('family-1');
    expect(await verdict(verifier.verifyAccess(token))).toBe('revoked');
    expect(await verdict(verifier.verifyAccess(token))).toBe('revoked');
  });

  it('asks for revocation on every call', async () => {
    const { verifier, asked, token } = setUp();
    for (let call = 0; call < 3; call += 1) await verifier.verifyAccess(token);
    expect(asked).toEqual(['jti-1', 'jti-1', 'jti-1']);
  });

  it('forgets the tokens of one session and keeps the others', async () => {
    const { verifier, token } = setUp();
    const other = forge(secret, accessPayload({ sid: 'family-2', jti: 'jti-2' }));
    const before = [await verifier.verifyAccess(token), await verifier.verifyAccess(other)];
    expect(verifier.forget((claims: AccessClaims) => claims.sid === 'family-1')).toBe(1);
    expect(await verifier.verifyAccess(token)).not.toBe(before[0]);
    expect(await verifier.verifyAccess(other)).toBe(before[1]);
    verifier.clear();
    expect(await verifier.verifyAccess(other)).not.toBe(before[1]);
  });

  it('does not remember a token whose check was under way when its session was forgotten', async () => {
    const { verifier, token } = setUp();
    const underWay = verifier.verifyAccess(token);
    verifier.clear();
    const claims = await underWay;
    expect(await verifier.verifyAccess(token)).not.toBe(claims);
  });

  it('never remembers a refusal', async () => {
    const { verifier, clock } = setUp();
    const early = forge(secret, accessPayload({ nbf: NOW + 60 }));
    expect(await verdict(verifier.verifyAccess(early))).toBe('not-yet-valid');
    clock.set(NOW + 60);
    expect(await verdict(verifier.verifyAccess(early))).toBe('accepted');
  });

  it('refuses a remembered token again when the clock was set back before its start', async () => {
    const { verifier, clock, token } = setUp();
    await verifier.verifyAccess(token);
    clock.set(NOW - 31);
    expect(await verdict(verifier.verifyAccess(token))).toBe('not-yet-valid');
  });

  it('holds no more tokens than its size and drops the one unused for longest', async () => {
    const { verifier, token } = setUp({ cacheSize: 2 });
    const oldest = await verifier.verifyAccess(token);
    for (const jti of ['a', 'b']) await verifier.verifyAccess(forge(secret, accessPayload({ jti })));
    expect(await verifier.verifyAccess(token)).not.toBe(oldest);
  });
});
