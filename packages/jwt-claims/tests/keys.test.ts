import { describe, expect, it } from '@jest/globals';
import { createRefreshVerifier, createServiceVerifier, createVerifier } from '../src/index.ts';
import { createServiceTokenSource, createSigner } from '../src/sign.ts';
import { accessPayload, forge, ISSUER, newSecret, plainPayload, standingClock, verdict } from './forge.ts';

const [first, second, third] = [newSecret(), newSecret(), newSecret()] as const;
const ring = [
  { kid: 'k3', secret: third },
  { kid: 'k2', secret: second },
  { kid: 'k1', secret: first },
];

function judgeWith(keys: typeof ring, profile: 'strict' | 'compatible' = 'strict') {
  const verifier = createVerifier({ keys, issuer: ISSUER, audience: 'auth', profile, clock: standingClock() });
  return (token: string) => verdict(verifier.verifyAccess(token));
}

describe('key rotation', () => {
  it('verifies with every key of the ring by its kid', async () => {
    const judge = judgeWith(ring);
    for (const { kid, secret } of ring) expect(await judge(forge(secret, accessPayload(), { kid }))).toBe('accepted');
  });

  it('refuses an unknown kid although one of the keys signed', async () => {
    expect(await judgeWith(ring)(forge(third, accessPayload(), { kid: 'k9' }))).toBe('unknown-key');
    expect(await judgeWith(ring)(forge(third, accessPayload(), { kid: '__proto__' }))).toBe('unknown-key');
  });

  it('refuses a token signed with another key than its kid names', async () => {
    expect(await judgeWith(ring)(forge(second, accessPayload(), { kid: 'k3' }))).toBe('bad-signature');
  });

  it('refuses tokens of a key that left the ring', async () => {
    const judge = judgeWith(ring.slice(0, 2));
    expect(await judge(forge(first, accessPayload(), { kid: 'k1' }))).toBe('unknown-key');
    expect(await judge(forge(second, accessPayload(), { kid: 'k2' }))).toBe('accepted');
  });

  it('tries only the current key for a token without kid in the strict profile', async () => {
    const judge = judgeWith(ring);
    expect(await judge(forge(third, accessPayload()))).toBe('accepted');
    expect(await judge(forge(second, accessPayload()))).toBe('bad-signature');
  });

  it('tries the current and the previous key, and no further, for a token without kid in the compatible profile', async () => {
    const judge = judgeWith(ring, 'compatible');
    expect(await judge(forge(third, plainPayload()))).toBe('accepted');
    expect(await judge(forge(second, plainPayload()))).toBe('accepted');
    expect(await judge(forge(first, plainPayload()))).toBe('bad-signature');
  });
});

describe('unusable keys', () => {
  const short = 'x'.repeat(31);
  const plan = (secret: string) => ({ keys: [{ kid: 'k1', secret }], ttlSeconds: 900 });

  it('refuses secrets under 32 bytes at construction, for verifying and for signing', () => {
    const keys = [{ kid: 'k1', secret: short }];
    const twoKeys = [{ kid: 'k0', secret: newSecret() }, ...keys];
    expect(() => createVerifier({ keys, issuer: ISSUER, audience: 'auth' })).toThrow(RangeError);
    expect(() => createVerifier({ keys: twoKeys, issuer: ISSUER, audience: 'auth' })).toThrow(RangeError);
    expect(() => createServiceVerifier({ keys, audience: 'auth' })).toThrow(RangeError);
    expect(() => createRefreshVerifier({ keys, issuer: ISSUER })).toThrow(RangeError);
    expect(() => createServiceTokenSource({ service: 'auth', keys })).toThrow(RangeError);
    const options = { issuer: ISSUER, audience: ['auth'] as const };
    expect(() => createSigner({ ...options, access: plan(short), refresh: plan(newSecret()) })).toThrow(RangeError);
  });

  it('never puts the secret into the message', () => {
    expect(() => createServiceVerifier({ keys: [{ kid: 'k1', secret: short }], audience: 'auth' })).toThrow(
      /^the secret of k1 is shorter than 32 bytes$/,
    );
  });

  it('counts bytes, not characters', () => {
    const keys = [{ kid: 'k1', secret: 'é'.repeat(16) }];
    expect(() => createServiceVerifier({ keys, audience: 'auth' })).not.toThrow();
  });

  it('takes a wrapped secret and bytes as the same key as the text', async () => {
    const secret = newSecret();
    const token = forge(secret, accessPayload());
    for (const source of [secret, Buffer.from(secret), { reveal: () => secret }]) {
      const keys = [{ kid: 'k1', secret: source }];
      const verifier = createVerifier({ keys, issuer: ISSUER, audience: 'auth', clock: standingClock() });
      expect(await verdict(verifier.verifyAccess(token))).toBe('accepted');
    }
  });

  it('refuses an empty ring, a repeated kid, a kid with odd characters and more than eight keys', () => {
    const key = (kid: string) => ({ kid, secret: newSecret() });
    const rings = [
      [],
      [key('a'), key('a')],
      [key('a b')],
      [key('')],
      Array.from({ length: 9 }, (_, n) => key(`k${n}`)),
    ];
    for (const keys of rings) expect(() => createServiceVerifier({ keys, audience: 'auth' })).toThrow(RangeError);
  });

  it('refuses one secret for access and refresh tokens, under whatever kid', () => {
    const secret = newSecret();
    const refresh = {
      keys: [
        { kid: 'r2', secret: newSecret() },
        { kid: 'r1', secret },
      ],
      ttlSeconds: 900,
    };
    expect(() => createSigner({ issuer: ISSUER, audience: ['auth'], access: plan(secret), refresh })).toThrow(
      'different secrets',
    );
  });
});
