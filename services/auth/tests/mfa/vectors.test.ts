import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { UserId } from '@tollgate/contracts';
import { describe, expect, it } from '@jest/globals';
import { ScureBase32Plugin } from 'otplib';
import { createBackupCodes } from '../../src/clients/backup-codes.ts';
import { createFieldCipher, decrypt, encrypt } from '../../src/clients/field-cipher.ts';
import { createTotp } from '../../src/clients/totp.ts';

/** RFC 6238, appendix B: the key of each algorithm is as long as its hash. */
const KEYS = { sha1: 20, sha256: 32, sha512: 64 } as const;
type Algorithm = keyof typeof KEYS;
const VECTORS: [seconds: number, Record<Algorithm, string>][] = [
  [59, { sha1: '94287082', sha256: '46119246', sha512: '90693936' }],
  [1111111109, { sha1: '07081804', sha256: '68084774', sha512: '25091201' }],
  [1111111111, { sha1: '14050471', sha256: '67062674', sha512: '99943326' }],
  [1234567890, { sha1: '89005924', sha256: '91819424', sha512: '93441116' }],
  [2000000000, { sha1: '69279037', sha256: '90698825', sha512: '38618901' }],
  [20000000000, { sha1: '65353130', sha256: '77737706', sha512: '47863826' }],
];
const secretOf = (bytes: number) =>
  new ScureBase32Plugin().encode(Buffer.from('1234567890'.repeat(7).slice(0, bytes)), { padding: false });

describe('TOTP', () => {
  const cases = VECTORS.flatMap(([seconds, codes]) =>
    (Object.keys(KEYS) as Algorithm[]).map((algorithm) => [algorithm, seconds, codes[algorithm]] as const),
  );

  it('is compared with all 18 values of the appendix', () => expect(cases).toHaveLength(18));

  it.each(cases)('agrees with RFC 6238 for %s at %d', (algorithm, seconds, code) => {
    const totp = createTotp({ algorithm, digits: 8 });
    const step = Math.floor(seconds / 30);
    const at = (moment: number) => totp.stepOf(secretOf(KEYS[algorithm]), code, moment * 1000);
    expect(at(seconds)).toBe(step);
    // One step early and one late is the same code of the same step; a second further it is not taken.
    expect([at(step * 30 - 30), at(step * 30 + 59)]).toEqual([step, step]);
    expect(at(step * 30 + 60)).toBeUndefined();
  });

  it('takes no code more than a step early', () => {
    const [[seconds, codes] = [0, { sha1: '' }]] = VECTORS.slice(1);
    const early = (Math.floor(seconds / 30) * 30 - 31) * 1000;
    expect(createTotp({ algorithm: 'sha1', digits: 8 }).stepOf(secretOf(20), codes.sha1, early)).toBeUndefined();
  });

  it('describes a secret of 160 bits as text, address and image', async () => {
    const totp = createTotp();
    const secret = totp.newSecret();
    const described = await totp.describe(secret, 'alice@example.test');
    expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    expect(described.uri).toBe(`otpauth://totp/Tollgate:alice%40example.test?secret=${secret}&issuer=Tollgate`);
    expect(described.qrCode).toMatch(/^data:image\/png;base64,/);
  });
});

describe('backup codes', () => {
  it('are ten, readable, of 60 bits, and forgive what people type', () => {
    const codes = createBackupCodes([{ secret: { reveal: () => 'key' } }]);
    const [alice, bob] = [UserId.parse('a'.repeat(24)), UserId.parse('b'.repeat(24))];
    const set = codes.create(alice);
    expect(new Set(set.codes).size).toBe(10);
    for (const code of set.codes) expect(code).toMatch(/^[0-9a-hjkmnp-tv-z]{4}(?:-[0-9a-hjkmnp-tv-z]{4}){2}$/);
    const [code = ''] = set.codes;
    expect(codes.hashes(alice, code.toUpperCase().replaceAll('-', ' ').replaceAll('0', 'O'))[0]).toBe(set.hashes[0]);
    expect(codes.hashes(bob, code)[0]).not.toBe(set.hashes[0]);
  });
});

type Vector = Record<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag' | 'result', string> & {
  tcId: number;
  comment: string;
};
const { tests } = JSON.parse(readFileSync(new URL('../vectors/aes-gcm-256.json', import.meta.url), 'utf8')) as {
  tests: Vector[];
};

describe('AES-256-GCM', () => {
  const labelled = (...results: string[]) =>
    tests.filter(({ result }) => results.includes(result)).map((test) => [test.tcId, test.comment, test] as const);
  const bytes = (test: Vector, name: keyof Vector) => Buffer.from(String(test[name]), 'hex');
  const under = (test: Vector) => ({ key: bytes(test, 'key'), nonce: bytes(test, 'iv'), aad: bytes(test, 'aad') });
  const sealedOf = (test: Vector) => Buffer.concat([bytes(test, 'ct'), bytes(test, 'tag')]);

  it('is tested with all 66 vectors of its kind', () => {
    expect(tests).toHaveLength(66);
    expect(labelled('valid', 'invalid')).toHaveLength(66);
  });

  it.each(labelled('valid'))('seals and opens Wycheproof vector %d (%s)', (_id, _comment, test) => {
    expect(decrypt(under(test), sealedOf(test))).toEqual(bytes(test, 'msg'));
    expect(encrypt(under(test), bytes(test, 'msg'))).toEqual(sealedOf(test));
  });

  it.each(labelled('invalid'))('refuses Wycheproof vector %d (%s)', (_id, _comment, test) => {
    expect(() => decrypt(under(test), sealedOf(test))).toThrow();
  });
});

describe('a sealed field', () => {
  const key = (kid: string) => {
    const text = randomBytes(32).toString('base64url');
    return { kid, secret: { reveal: () => text } };
  };
  const [old, current] = [key('old'), key('current')];
  const place = { collection: 'second_factors', field: 'secret', owner: 'alice' };
  const cipher = createFieldCipher([current, old]);

  it('opens for its own collection, field and owner alone', () => {
    const sealed = cipher.seal('the secret', place);
    expect(cipher.open(sealed, place)).toEqual({ text: 'the secret', isOutdated: false });
    for (const other of [{ owner: 'bob' }, { field: 'other' }, { collection: 'users' }])
      expect(() => cipher.open(sealed, { ...place, ...other })).toThrow();
  });

  it('names its key, and an older one of the ring opens it as outdated', () => {
    const sealed = createFieldCipher([old]).seal('the secret', place);
    expect(sealed).toMatch(/^v1\.old\./);
    expect(cipher.open(sealed, place)).toEqual({ text: 'the secret', isOutdated: true });
    expect(() => createFieldCipher([current]).open(sealed, place)).toThrow('key');
  });

  it('is refused when any part of it was changed or cut, tag and all', () => {
    const sealed = cipher.seal('the secret', place);
    const start = sealed.lastIndexOf('.') + 1;
    for (let index = start; index < sealed.length - 1; index += 1) {
      const other = sealed[index] === 'A' ? 'B' : 'A';
      expect(() => cipher.open(sealed.slice(0, index) + other + sealed.slice(index + 1), place)).toThrow();
    }
    for (const cut of [1, 8, 16]) expect(() => cipher.open(sealed.slice(0, -cut), place)).toThrow();
  });

  it('is never the same twice', () => expect(cipher.seal('x', place)).not.toBe(cipher.seal('x', place)));
});
