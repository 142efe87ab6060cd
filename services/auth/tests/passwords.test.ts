import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from '@jest/globals';
import { createPasswordPool } from '../src/clients/password-pool.ts';
import { createTokens } from '../src/clients/tokens.ts';

const pepper = (kid: string) => {
  const secret = randomBytes(32).toString('base64url');
  return { kid, secret: { reveal: () => secret } };
};
const [first, second] = [pepper('first'), pepper('second')];
const opened: { close(): Promise<void> }[] = [];
const pool = async (options: { cost?: number; peppers?: ReturnType<typeof pepper>[] } = {}) => {
  const passwords = await createPasswordPool({
    cost: options.cost ?? 10,
    peppers: options.peppers ?? [first],
    threads: 1,
  });
  opened.push(passwords);
  return passwords;
};
afterAll(() => Promise.all(opened.map((passwords) => passwords.close())));

/** The fastest of alternating rounds: whatever else the machine does can only slow a round down. */
async function fastestChecks(passwords: Awaited<ReturnType<typeof pool>>, stored: string) {
  const fastest = { known: Number.POSITIVE_INFINITY, unknown: Number.POSITIVE_INFINITY };
  for (let round = 0; round < 8; round += 1) {
    for (const [who, hash] of [
      ['known', stored],
      ['unknown', undefined],
    ] as const) {
      const start = performance.now();
      await passwords.check('another walk', hash);
      fastest[who] = Math.min(fastest[who], performance.now() - start);
    }
  }
  return fastest;
}

describe('stored passwords', () => {
  it('differ when only a character after the 72nd byte differs, and in every character before', async () => {
    const passwords = await pool();
    const long = '€'.repeat(127);
    const stored = await passwords.hash(`${long}a`);
    expect(await passwords.check(`${long}a`, stored)).toEqual({ matches: true, outdated: false });
    expect((await passwords.check(`${long}b`, stored)).matches).toBe(false);
    const withNul = await passwords.hash('same\0one-thing');
    expect((await passwords.check('same\0another', withNul)).matches).toBe(false);
  });

  it('cost a check the same work when there is none to check against', async () => {
    const passwords = await pool();
    const stored = await passwords.hash('a walk');
    const fastest = await fastestChecks(passwords, stored);
    // A check without any hashing takes less than a hundredth of one.
    expect(fastest.unknown).toBeGreaterThan(fastest.known / 4);
  });

  it('cost a check as much before they were hashed again at a higher cost as after it', async () => {
    const stored = await (await pool({ cost: 8 })).hash('a walk');
    const passwords = await pool({ cost: 11 });
    const fastest = await fastestChecks(passwords, stored);
    // An eighth of the work is what the older hash alone takes.
    expect(fastest.known).toBeGreaterThan(fastest.unknown / 2);
    expect(fastest.known).toBeLessThan(fastest.unknown * 2);
  });

  it('match the same characters in another composition', async () => {
    const passwords = await pool();
    expect((await passwords.check('cafe\u0301 au lait', await passwords.hash('café au lait'))).matches).toBe(true);
  });

  it('are outdated when the cost has risen or the pepper was replaced, and worthless without their pepper', async () => {
    const stored = await (await pool()).hash('a walk');
    expect(stored).toMatch(/^v1\.first\$2b\$10\$/);
    expect(await (await pool({ cost: 11 })).check('a walk', stored)).toEqual({ matches: true, outdated: true });
    expect(await (await pool({ peppers: [second, first] })).check('a walk', stored)).toEqual({
      matches: true,
      outdated: true,
    });
    expect(await (await pool({ peppers: [second] })).check('a walk', stored)).toMatchObject({ matches: false });
  });

  it('are checked for nobody with the same work and never match', async () => {
    const passwords = await pool();
    expect(await passwords.check('a walk', undefined)).toMatchObject({ matches: false });
  });
});

describe('a sealed successor', () => {
  it('opens with its predecessor and with nothing else', () => {
    const keys = () => [{ kid: 'k', secret: randomBytes(32) }];
    const { tokens } = createTokens({
      accessKeys: keys(),
      refreshKeys: keys(),
      issuer: 'tollgate',
      profile: 'strict',
      accessSeconds: 900,
      refreshSeconds: 3600,
      workspaceId: 'default',
      clock: { now: () => 0 },
    });
    const sealed = tokens.seal('the-successor', 'the-predecessor');
    expect(tokens.unseal(sealed, 'the-predecessor')).toBe('the-successor');
    expect(tokens.unseal(sealed, 'another')).toBeUndefined();
    const other = sealed.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A'));
    expect(tokens.unseal(other, 'the-predecessor')).toBeUndefined();
  });
});
