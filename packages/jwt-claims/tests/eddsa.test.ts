import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { createRefreshVerifier, createVerifier, type PublicKeys, readPublicKeys } from '../src/index.ts';
import { createSignatureCheck } from '../src/jws.ts';
import { createSigner, publicKeysOf, publicSetOf, readPrivateKeys } from '../src/sign.ts';
import { accessPayload, ALICE, encode, forge, ISSUER, newSecret, NOW, standingClock, verdict } from './forge.ts';

const newKey = () => generateKeyPairSync('ed25519').privateKey;
const pemOf = (...keys: KeyObject[]) =>
  keys.map((key) => key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' })).join('');
const [current, previous, stranger] = [newKey(), newKey(), newKey()];
const privateKeys = readPrivateKeys(pemOf(current, previous));
const publicKeys = publicKeysOf(privateKeys);
const [kid = '', previousKid = ''] = privateKeys.keys.map((key) => key.kid);

function forgeEd(key: KeyObject, header: object, payload: object = accessPayload()): string {
  const input = `${encode({ alg: 'EdDSA', typ: 'JWT', ...header })}.${encode(payload)}`;
  return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`;
}

const verifierOf = (keys: PublicKeys, over: object = {}) =>
  createVerifier({ keys, issuer: ISSUER, audience: 'accounting', clock: standingClock(), ...over });
const judge = (token: string, over: object = {}) => verdict(verifierOf(publicKeys, over).verifyAccess(token));

describe('EdDSA', () => {
  it('reproduces the signature and the name of the key of RFC 8037 appendix A', async () => {
    const jwk = {
      kty: 'OKP',
      crv: 'Ed25519',
      d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    };
    const keys = readPrivateKeys(JSON.stringify(jwk));
    expect(keys.keys[0].kid).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
    const input = `${encode({ alg: 'EdDSA' })}.${encode('Example of Ed25519 signing')}`;
    const expected = 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg';
    const key = createPrivateKey({ key: jwk, format: 'jwk' });
    expect(sign(null, Buffer.from(input), key).toString('base64url')).toBe(expected);
    const named = forgeEd(key, { kid: keys.keys[0].kid });
    expect(await createSignatureCheck(publicKeysOf(keys), 'strict')(named)).toBeInstanceOf(Uint8Array);
  });

  it('signs access tokens with the current key and refresh tokens with the shared secret', async () => {
    const refreshKeys = [{ kid: 'r1', secret: newSecret() }];
    const signer = createSigner({
      access: { keys: privateKeys, ttlSeconds: 900 },
      refresh: { keys: refreshKeys, ttlSeconds: 900 },
      issuer: ISSUER,
      audience: ['accounting', 'billing'],
      clock: standingClock(),
    });
    const subject = { sub: ALICE, username: 'alice', email: 'a@example.test', role: 'enduser', sid: 's1' } as const;
    const { token, claims } = await signer.signAccess(subject);
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', typ: 'JWT', kid });
    await expect(verifierOf(publicKeys).verifyAccess(token)).resolves.toEqual(claims);
    await expect(verifierOf(publicKeys, { audience: 'billing' }).verifyAccess(token)).resolves.toEqual(claims);
    const refresh = await signer.signRefresh({ sub: ALICE, sid: 's1', notAfter: NOW + 900 });
    expect(decodeProtectedHeader(refresh.token)).toMatchObject({ alg: 'HS256', kid: 'r1' });
    const reader = createRefreshVerifier({ keys: refreshKeys, issuer: ISSUER, clock: standingClock() });
    await expect(reader.verifyRefresh(refresh.token)).resolves.toEqual(refresh.claims);
    expect(await verdict(reader.verifyRefresh(token))).toBe('malformed');
    expect(await judge(refresh.token)).toBe('malformed');
  });

  it('verifies with the previous key too, and with no key that is not in the set', async () => {
    expect(await judge(forgeEd(current, { kid }))).toBe('accepted');
    expect(await judge(forgeEd(previous, { kid: previousKid }))).toBe('accepted');
    expect(await judge(forgeEd(previous, { kid }))).toBe('bad-signature');
    expect(await judge(forgeEd(stranger, { kid }))).toBe('bad-signature');
    expect(await judge(forgeEd(stranger, { kid: 'stranger' }))).toBe('unknown-key');
    expect(await judge(forgeEd(current, {}))).toBe('unknown-key');
    expect(await judge(forgeEd(current, {}), { profile: 'compatible' })).toBe('unknown-key');
  });

  it('publishes public halves only', () => {
    const { keys } = publicSetOf(privateKeys);
    expect(keys.map((key) => key.kid)).toEqual([kid, previousKid]);
    for (const key of keys) {
      expect(key).toEqual({
        kty: 'OKP',
        crv: 'Ed25519',
        alg: 'EdDSA',
        use: 'sig',
        kid: key.kid,
        x: expect.any(String),
      });
    }
    const text = JSON.stringify(keys);
    for (const key of [current, previous]) expect(text).not.toContain(key.export({ format: 'jwk' }).d);
    expect(`${JSON.stringify(privateKeys)} ${String(privateKeys.keys[0].key)}`).not.toContain(
      current.export({ format: 'jwk' }).d,
    );
  });
});

describe('algorithm confusion', () => {
  const publicPem = pemOf(createPublicKey(current));
  const jwk = publicSetOf(privateKeys).keys[0];
  /** What an attacker who knows the public key may take for a shared secret. */
  const secrets = [
    publicPem,
    publicPem.trim(),
    JSON.stringify(jwk),
    jwk?.x ?? '',
    Buffer.from(jwk?.x ?? '', 'base64url'),
  ];

  it.each(secrets.map((secret, index) => [index, secret] as const))(
    'a public key is no HMAC secret (spelling %d)',
    async (_index, secret) => {
      for (const header of [{ kid }, {}, { kid, alg: 'EdDSA' }]) {
        const profile = { profile: 'compatible' };
        expect(await judge(forge(secret, accessPayload(), header), profile)).not.toBe('accepted');
      }
      expect(await judge(forge(secret, accessPayload(), { kid }))).toBe('malformed');
    },
  );

  it('refuses tokens of one mode in the other, although the signature is right', async () => {
    const secret = newSecret();
    const shared = createVerifier({
      keys: [{ kid, secret }],
      issuer: ISSUER,
      audience: 'accounting',
      clock: standingClock(),
    });
    expect(await verdict(shared.verifyAccess(forge(secret, accessPayload(), { kid })))).toBe('accepted');
    expect(await verdict(shared.verifyAccess(forgeEd(current, { kid })))).toBe('malformed');
    expect(await verdict(shared.verifyAccess(forgeEd(current, { kid, alg: 'HS256' })))).toBe('bad-signature');
    expect(await judge(forge(secret, accessPayload(), { kid }))).toBe('malformed');
  });

  it.each(['none', 'None', 'NONE', 'HS256', 'ES256', 'Ed25519', 'Ed448', 'eddsa', '', undefined])(
    'refuses alg %p over a right Ed25519 signature',
    async (alg) => {
      expect(await judge(forgeEd(current, { kid, alg }))).toBe('malformed');
    },
  );

  it.each([
    { jwk: { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' } },
    { jku: 'http://127.0.0.1/jwks.json' },
    { x5u: 'http://127.0.0.1/cert' },
    { x5c: ['MIIB'] },
    { crit: ['exp'] },
    { b64: false, crit: ['b64'] },
  ])('refuses the header member %j over a right signature', async (header) => {
    expect(await judge(forgeEd(current, { kid, ...header }))).toBe('malformed');
  });

  it('refuses a key file where a shared secret belongs', () => {
    for (const secret of [publicPem, JSON.stringify(jwk)]) {
      const options = { keys: [{ kid: 'k1', secret }], issuer: ISSUER, audience: 'auth' };
      expect(() => createVerifier(options)).toThrow('the secret of k1 is a key file');
    }
  });
});

describe('key texts', () => {
  const privateJwk = (key: KeyObject, over: object = {}) => ({ ...key.export({ format: 'jwk' }), ...over });
  const set = (...keys: object[]) => JSON.stringify({ keys });

  it('may be a JWK, a JWK Set, or PEM blocks, also on one line, with a given name or the thumbprint', () => {
    const kids = (text: string) => readPrivateKeys(text).keys.map((key) => key.kid);
    expect(kids(JSON.stringify(privateJwk(current, { kid: '2026-01' })))).toEqual(['2026-01']);
    expect(kids(set(privateJwk(current, { kid: 'b', alg: 'EdDSA', use: 'sig' }), privateJwk(previous)))).toEqual([
      'b',
      previousKid,
    ]);
    expect(kids(pemOf(current, previous).replaceAll('\n', '\\n'))).toEqual([kid, previousKid]);
    const thumb = { crv: 'Ed25519', kty: 'OKP', x: privateJwk(current).x };
    expect(kid).toBe(createHash('sha256').update(JSON.stringify(thumb)).digest('base64url'));
  });

  it('of public keys are read likewise', async () => {
    const texts = [
      JSON.stringify(publicSetOf(privateKeys)),
      JSON.stringify(publicSetOf(privateKeys).keys[0]),
      pemOf(createPublicKey(current), createPublicKey(previous)),
    ];
    for (const text of texts) {
      expect(await verdict(verifierOf(readPublicKeys(text)).verifyAccess(forgeEd(current, { kid })))).toBe('accepted');
    }
  });

  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  it.each([
    ['nothing', ''],
    ['another text', 'no key at all'],
    ['broken JSON', '{"keys":['],
    ['an empty set', set()],
    ['a public key', JSON.stringify(publicSetOf(privateKeys))],
    ['a public PEM', pemOf(createPublicKey(current))],
    ['an RSA PEM', pemOf(rsa)],
    ['an EC PEM', pemOf(ec)],
    ['an EC JWK', JSON.stringify(privateJwk(ec))],
    ['a broken PEM', pemOf(current).replace('MC4C', 'AAAA')],
    ['one key twice', pemOf(current, current)],
    ['one name twice', set(privateJwk(current, { kid: 'a' }), privateJwk(previous, { kid: 'a' }))],
    ['an odd name', set(privateJwk(current, { kid: 'a b' }))],
    ['nine keys', pemOf(...Array.from({ length: 9 }, newKey))],
    ['a key for encryption', set(privateJwk(current, { use: 'enc' }))],
    ['a key that may only verify', set(privateJwk(current, { key_ops: ['verify'] }))],
    ['a key of another algorithm', set(privateJwk(current, { alg: 'HS256' }))],
    ['a d beside the x of another', set(privateJwk(current, { x: privateJwk(previous).x }))],
    ['a mixed set', set(privateJwk(current), privateJwk(ec))],
  ])('of private keys are refused when they hold %s, without a word of it', (_what, text) => {
    let refusal: unknown;
    try {
      readPrivateKeys(text);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(RangeError);
    for (const key of [current, rsa, ec]) expect(String(refusal)).not.toContain(String(privateJwk(key).d).slice(0, 12));
  });

  it('of public keys are refused when they hold a private one', () => {
    const texts = [pemOf(current), set(privateJwk(current)), JSON.stringify(privateJwk(current))];
    for (const text of texts) expect(() => readPublicKeys(text)).toThrow(RangeError);
  });
});
