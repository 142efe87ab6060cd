import { randomBytes } from 'node:crypto';
import { format, inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { keyRing, Secret, secret } from '../src/index.ts';

const strong = randomBytes(32).toString('base64url');

describe('Secret', () => {
  it('shows [secret] wherever it is printed and the value only when asked', () => {
    const hidden = new Secret(strong);
    const holder = { db: { password: hidden } };
    const shown = [
      String(hidden),
      `${hidden}`,
      JSON.stringify(holder),
      inspect(holder, { depth: 9, showHidden: true }),
      format('%s %o %j', hidden, hidden, hidden),
      JSON.stringify(Object.entries(hidden)),
      JSON.stringify({ ...hidden }),
    ].join('\n');
    expect(shown).not.toContain(strong);
    expect(shown).toContain('[secret]');
    expect(hidden.reveal()).toBe(strong);
  });

  it('compares by value', () => {
    expect(new Secret('ä').equals(new Secret('ä'))).toBe(true);
    expect(new Secret('a').equals(new Secret('b'))).toBe(false);
    expect(new Secret('a').equals(new Secret('aa'))).toBe(false);
    expect(new Secret('ä').byteLength).toBe(2);
  });
});

describe('the secret rule', () => {
  const faultOf = (value: string, options?: { minBytes: number }) =>
    secret(options).safeParse(value).error?.issues[0]?.message;

  it('accepts random secrets in base64 and hex', () => {
    for (let round = 0; round < 500; round += 1) {
      expect(faultOf(randomBytes(32).toString('base64'))).toBeUndefined();
      expect(faultOf(randomBytes(32).toString('hex'))).toBeUndefined();
    }
  });

  it('accepts a random secret in which five letters happen to make a word', () => {
    expect(faultOf('2Nq7yOUr-e1Zk0vT4mB9_sXhW3cGdL8aPfJ6RtuQIoC5')).toBeUndefined();
  });

  it.each([
    'changeme',
    'secret',
    'access_secret',
    'a'.repeat(31),
    'a'.repeat(64),
    'abcdefgh'.repeat(4),
    '0123456789abcdef0123456789abcdef',
    'change-me-to-something-really-long-please',
    'CHANGE_THIS_IN_PRODUCTION_1234567890abc',
    'your-256-bit-secret-0123456789abcdefghij',
    'my_access_secret_that_is_long_enough_0987',
    'this-is-an-example-value-0123456789-abcd',
    ` ${strong}`,
    `${strong}\t`,
    'x'.repeat(5000),
  ])('refuses %p and does not repeat it', (value) => {
    const fault = faultOf(value);
    expect(fault).toBeDefined();
    expect(fault).not.toContain(value);
  });

  it('lets a short key of another party through but no sample', () => {
    expect(faultOf('aaaa', { minBytes: 1 })).toBeUndefined();
    expect(faultOf('postgres', { minBytes: 1 })).toMatch('sample');
    expect(faultOf('ChangeMe', { minBytes: 1 })).toMatch('sample');
  });
});

describe('key rings', () => {
  const other = randomBytes(32).toString('base64url');
  const read = (text: string) => keyRing().safeParse(text);

  it('takes one secret and names it the same every time, by a name that is no part of it', () => {
    const [one, again] = [read(strong).data, read(strong).data];
    expect(one).toHaveLength(1);
    expect(one?.[0]?.kid).toMatch(/^[0-9a-f]{8}$/);
    expect(one?.[0]?.kid).toBe(again?.[0]?.kid);
    expect(one?.[0]?.secret.reveal()).toBe(strong);
  });

  it('takes named secrets, the current one first', () => {
    const ring = read(`k2:${strong}, k1:${other}`).data;
    expect(ring?.map(({ kid, secret: key }) => [kid, key.reveal()])).toEqual([
      ['k2', strong],
      ['k1', other],
    ]);
  });

  it.each([
    `k1:${strong},k1:${other}`,
    `k1:${strong}:more`,
    `a b:${strong}`,
    `:${strong}`,
    `k1:${strong},`,
    'k1:short',
    `k1:${strong},k2:changeme`,
    '',
  ])('refuses %p', (text) => {
    expect(read(text).success).toBe(false);
  });
});
