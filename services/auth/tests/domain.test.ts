import { describe, expect, it } from '@jest/globals';
import { readCommonPasswords } from '../src/clients/common-passwords.ts';
import { siteOf } from '../src/domain/client-address.ts';
import { writeMail } from '../src/domain/mails.ts';
import { faultOfPassword } from '../src/domain/password-rules.ts';
import { keyOf } from '../src/domain/user.ts';

describe('a new password', () => {
  const owner = { username: 'Alice', email: 'alice.liddell@example.test' };

  it('of any script and up to 128 characters is accepted without composition rules', async () => {
    const rules = { minLength: 8, needsMixture: false, common: await readCommonPasswords() };
    const accepted = [
      'aaaa bbbb cccc',
      '二十世紀の散歩道を',
      '🦉🦉🌧️🌧️🚶🚶🌙🌙',
      'x'.repeat(128),
      `${'é'.repeat(64)}`,
      'alice walks home at night',
    ];
    for (const password of accepted)
      expect([password, faultOfPassword(password, owner, rules)]).toEqual([password, undefined]);
  });

  it('that is short, common, the owner’s name or address, or the product is refused', async () => {
    const rules = { minLength: 8, needsMixture: false, common: await readCommonPasswords() };
    expect(rules.common.size).toBeGreaterThanOrEqual(10_000);
    const refused = [
      'sieben7',
      '🦉🦉🦉🦉',
      'PASSWORD',
      'Iloveyou2',
      'Alice2024!',
      'alicealice',
      'ALICE.LIDDELL@example.test',
      'alice.liddell',
      'Tollgate123',
    ];
    for (const password of refused)
      expect([password, faultOfPassword(password, owner, rules)]).not.toEqual([password, undefined]);
  });
});

describe('the key of a name', () => {
  it('is one for all spellings in case, width and composition', () => {
    const same = [
      ['Alice', 'ALICE', 'ａlice', ' alice '],
      ['Straße', 'STRASSE', 'strasse'],
      ['é', 'e\u0301', 'É'],
      ['ΟΔΟΣ', 'οδος', 'οδοσ'],
    ];
    for (const spellings of same) expect(new Set(spellings.map(keyOf)).size).toBe(1);
  });
});

describe('the site of an address', () => {
  it('is the IPv4 address, however it is written, or the /64 of an IPv6 address', () => {
    expect(siteOf('192.0.2.7')).toBe('192.0.2.7');
    expect(siteOf('::ffff:192.0.2.7')).toBe('192.0.2.7');
    const site = siteOf('2001:db8:1:2:3:4:5:6');
    expect(siteOf('2001:0DB8:1:2::ffff')).toBe(site);
    expect(siteOf('2001:db8:1:3::1')).not.toBe(site);
    expect(siteOf('::1')).toBe('0:0:0:0::/64');
    expect(siteOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
  });
});

describe('a mail', () => {
  it('puts secrets where the words announce them', () => {
    const { blocks } = writeMail(
      { kind: 'password-reset', username: 'alice', token: 'f'.repeat(64) },
      'https://a.example.test',
    );
    expect(blocks).toContainEqual({
      link: `https://a.example.test/reset-password#token=${'f'.repeat(64)}`,
      label: 'Choose a new password',
    });
    expect(blocks.at(-2)).toMatch(/token: f{64}$/);
  });
});
