import { createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createVerifier } from '../src/index.ts';
import { createSignatureCheck, LONGEST_TOKEN } from '../src/jws.ts';
import { accessPayload, encode, forge, ISSUER, newSecret, standingClock, verdict } from './forge.ts';

const secret = newSecret();
const good = forge(secret, accessPayload(), { kid: 'k1' });

function setUp() {
  const verifier = createVerifier({
    keys: [{ kid: 'k1', secret }],
    issuer: ISSUER,
    audience: 'accounting',
    clock: standingClock(),
  });
  return (token: string | undefined) => verdict(verifier.verifyAccess(token));
}

describe('signature and header', () => {
  const judge = setUp();

  it('accepts the HS256 example of RFC 7515 appendix A.1 as a signature', async () => {
    const key = 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow';
    const check = createSignatureCheck([{ kid: 'rfc', secret: Buffer.from(key, 'base64url') }], 'strict');
    const payload = await check(
      'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9' +
        '.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ' +
        '.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    );
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
      iss: 'joe',
      exp: 1_300_819_380,
      'http://example.com/is_root': true,
    });
  });

  it('accepts a token with and without typ, and refuses another typ', async () => {
    expect(await judge(good)).toBe('accepted');
    expect(await judge(forge(secret, accessPayload(), { typ: undefined }))).toBe('accepted');
    expect(await judge(forge(secret, accessPayload(), { typ: 'secevent+jwt' }))).toBe('malformed');
  });

  it.each(['none', 'None', 'NONE', 'nOnE', 'RS256', 'ES256', 'HS384', 'HS512', 'hs256', '', undefined])(
    'refuses alg %p even when the MAC is right',
    async (alg) => {
      expect(await judge(forge(secret, accessPayload(), { alg }))).toBe('malformed');
      expect(await judge(`${encode({ alg, typ: 'JWT' })}.${encode(accessPayload())}.`)).toBe('malformed');
    },
  );

  it('refuses an HS384 MAC under an HS256 header', async () => {
    expect(await judge(forge(secret, accessPayload(), {}, 'sha384'))).toBe('bad-signature');
  });

  it.each([
    { jwk: { kty: 'oct', k: encode(secret) } },
    { jku: 'https://keys.example.test/jwks.json' },
    { x5u: 'https://keys.example.test/cert' },
    { x5c: ['MIIB'] },
    { crit: ['exp'] },
    { crit: ['b64'], b64: false },
    { b64: false },
    { b64: true },
    { zip: 'DEF' },
    { cty: 'JWT' },
    { kid: { $gt: '' } },
    { kid: '' },
  ])('refuses the header member %j even when the MAC is right', async (header) => {
    expect(await judge(forge(secret, accessPayload(), header))).toBe('malformed');
  });

  it.each(['a.b', 'a.b.c.d', '..', '.', 'abc', `${good}.`, `${good}.x`, ` ${good}`, `${good}\n`, `Bearer ${good}`])(
    'refuses %p as no compact JWS',
    async (token) => {
      expect(await judge(token)).toBe('malformed');
    },
  );

  it('tells a missing token from a bad one', async () => {
    expect(await judge(undefined)).toBe('missing');
    expect(await judge('')).toBe('missing');
  });

  it('refuses a token above the length limit, although signed', async () => {
    const long = forge(secret, accessPayload({ note: 'x'.repeat(LONGEST_TOKEN) }));
    expect(await judge(long)).toBe('malformed');
  });

  it('refuses every non-canonical spelling of a good signature, payload or header', async () => {
    const [header = '', payload = '', mac = ''] = good.split('.');
    // 32 bytes leave two unused bits in the last of 43 characters: three more spellings decode to the same bytes.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(mac.slice(-1));
    const twins = [1, 2, 3].map((bits) => mac.slice(0, -1) + alphabet[(last & ~3) | ((last + bits) & 3)]);
    expect(twins.map((twin) => Buffer.from(twin, 'base64url').toString('hex'))).toEqual(
      twins.map(() => Buffer.from(mac, 'base64url').toString('hex')),
    );
    const spellings = [...twins, `${mac}=`, `${mac.slice(0, 9)} ${mac.slice(9)}`, `${mac}?`].map(
      (twin) => `${header}.${payload}.${twin}`,
    );
    spellings.push(`${header}=.${payload}.${mac}`, `${header}.${payload}==.${mac}`, `${header}.\t${payload}.${mac}`);
    for (const spelling of spellings) expect(await judge(spelling)).toBe('malformed');
  });

  it('refuses a right MAC over a non-canonical payload', async () => {
    const input = `${encode({ alg: 'HS256' })}.AB`;
    const mac = createHmac('sha256', secret).update(input).digest('base64url');
    expect(await judge(`${input}.${mac}`)).toBe('malformed');
  });

  it.each(['null', '[]', '"x"', '1', 'not json', '{"a":', Buffer.from([0x7b, 0xff, 0x7d])])(
    'refuses the signed payload %p',
    async (payload) => {
      const input = `${encode({ alg: 'HS256' })}.${Buffer.from(payload).toString('base64url')}`;
      const mac = createHmac('sha256', secret).update(input).digest('base64url');
      expect(await judge(`${input}.${mac}`)).toBe('malformed');
    },
  );

  it('refuses every single-character change of a good token, remembered or not', async () => {
    const remembering = setUp();
    expect(await remembering(good)).toBe('accepted');
    const position = fc.integer({ min: 0, max: good.length - 1 });
    const character = fc.oneof(
      fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/'),
      fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
    );
    await fc.assert(
      fc.asyncProperty(position, character, async (at, other) => {
        fc.pre(good[at] !== other);
        expect(await remembering(good.slice(0, at) + other + good.slice(at + 1))).not.toBe('accepted');
      }),
      { numRuns: 500 },
    );
  });

  it('refuses every token that lost or gained one character', async () => {
    for (let at = 0; at < good.length; at += 1) {
      expect(await judge(good.slice(0, at) + good.slice(at + 1))).not.toBe('accepted');
      expect(await judge(`${good.slice(0, at)}A${good.slice(at)}`)).not.toBe('accepted');
    }
  });
});
