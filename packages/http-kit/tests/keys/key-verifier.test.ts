import { describe, expect, it } from '@jest/globals';
import type { auth, UserId } from '@tollgate/contracts';
import { AppError } from '../../src/index.ts';
import { createKeyVerifier, type KeyVerifierOptions } from '../../src/keys/key-verifier.ts';

const MINUTE = 60_000;
const START = Date.UTC(2030, 0, 1);
const KEY_ID = 'k'.repeat(16);

/** Auth as the verifier sees it, and a clock that stands still. */
function world(more: Partial<KeyVerifierOptions> = {}) {
  const clock = { at: START, now: () => clock.at };
  const asked: string[] = [];
  const answers: { next: () => Promise<auth.VerifiedKey | undefined> } = { next: async () => verified(clock.at) };
  const verify = createKeyVerifier({
    ask(key) {
      asked.push(key);
      return answers.next();
    },
    goodMs: 30_000,
    clock,
    ...more,
  });
  return { clock, asked, answers, verify };
}

const verified = (at: number, lifeMs = MINUTE): auth.VerifiedKey => ({
  keyId: KEY_ID,
  user: { id: 'a'.repeat(24) as UserId, username: 'alice', email: 'alice@example.test', role: 'enduser' },
  workspaceId: 'default',
  workspaceRole: 'enduser',
  scopes: ['chat:use'],
  limits: null,
  expiresAt: new Date(START + lifeMs).toISOString(),
  verifiedAt: new Date(at).toISOString(),
  version: 3,
  memberVersion: 2,
});

describe('a key', () => {
  it('is asked for once however many use it first at the same time, and then remembered for 30 s', async () => {
    const { clock, asked, verify } = world();
    const callers = await Promise.all(Array.from({ length: 50 }, () => verify('one')));
    expect(new Set(callers).size).toBe(1);
    expect(callers[0]).toEqual({
      kind: 'user',
      userId: 'a'.repeat(24),
      username: 'alice',
      email: 'alice@example.test',
      role: 'enduser',
      workspaceId: 'default',
      workspaceRole: 'enduser',
      version: 3,
      memberVersion: 2,
      apiKey: { id: KEY_ID, scopes: ['chat:use'] },
      issuedAt: START,
      expiresAt: START + MINUTE,
    });
    clock.at += 29_999;
    await verify('one');
    expect(asked).toEqual(['one']);
    clock.at += 1;
    await verify('one');
    expect(asked).toEqual(['one', 'one']);
  });

  it('is not remembered beyond its own end', async () => {
    const { clock, asked, answers, verify } = world();
    answers.next = async () => verified(clock.at, 10_000);
    await verify('one');
    clock.at += 9999;
    await verify('one');
    expect(asked).toHaveLength(1);
    answers.next = async () => undefined;
    clock.at += 1;
    expect(await verify('one')).toBeUndefined();
  });

  it('that is refused is asked for again after 5 s', async () => {
    const { clock, asked, answers, verify } = world();
    answers.next = async () => undefined;
    expect(await Promise.all([verify('bad'), verify('bad')])).toEqual([undefined, undefined]);
    clock.at += 4999;
    expect(await verify('bad')).toBeUndefined();
    expect(asked).toHaveLength(1);
    answers.next = async () => verified(clock.at);
    clock.at += 1;
    expect(await verify('bad')).toBeDefined();
  });

  it('is remembered while auth is away, and unknown after that: 503, never a refusal', async () => {
    const { clock, answers, verify } = world();
    await verify('one');
    answers.next = async () => Promise.reject(new AppError('DEPENDENCY_UNAVAILABLE'));
    clock.at += 29_999;
    expect(await verify('one')).toBeDefined();
    await expect(verify('other')).rejects.toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
    clock.at += 1;
    await expect(verify('one')).rejects.toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
    // A failure is not remembered.
    answers.next = async () => verified(clock.at);
    expect(await verify('one')).toBeDefined();
  });

  it('is not pushed out by any number of wrong ones', async () => {
    const { asked, answers, verify } = world({ size: 10 });
    await verify('one');
    answers.next = async () => undefined;
    for (let wrong = 0; wrong < 100; wrong += 1) await verify(`wrong-${wrong}`);
    await verify('one');
    expect(asked.filter((key) => key === 'one')).toHaveLength(1);
  });

  it('is asked for at once with no more than 500 others', async () => {
    const { asked, answers, verify } = world();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    answers.next = () => promise;
    const lookups = Array.from({ length: 500 }, (_, index) => verify(`wrong-${index}`));
    await expect(verify('one more')).rejects.toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
    expect(asked).toHaveLength(500);
    resolve(undefined);
    await Promise.all(lookups);
    answers.next = async () => verified(START);
    expect(await verify('one more')).toBeDefined();
  });

  it('is asked for at once with no more than 50 others from one address, which leaves room for everybody else', async () => {
    const { asked, answers, verify } = world();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    answers.next = () => promise;
    const lookups = Array.from({ length: 50 }, (_, index) => verify(`wrong-${index}`, '192.0.2.1'));
    await expect(verify('one more', '192.0.2.1')).rejects.toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
    expect(asked).toHaveLength(50);
    answers.next = async () => verified(START);
    expect(await verify('of others', '192.0.2.2')).toBeDefined();
    resolve(undefined);
    await Promise.all(lookups);
    expect(await verify('one more', '192.0.2.1')).toBeDefined();
  });
});

describe('an answer from before a revocation', () => {
  it('is not believed: auth is asked again, and whoever still counts goes on', async () => {
    let revokedAt = 0;
    const { clock, asked, answers, verify } = world({ isRevoked: ({ issuedAt }) => issuedAt <= revokedAt });
    await verify('one');
    revokedAt = clock.at;
    clock.at += 1;
    expect(await verify('one')).toMatchObject({ issuedAt: START + 1 });
    expect(asked).toHaveLength(2);
    revokedAt = clock.at;
    answers.next = async () => undefined;
    clock.at += 1;
    expect(await verify('one')).toBeUndefined();
  });

  it('is not believed either when it comes after the revocation', async () => {
    let revokedAt = 0;
    const { clock, asked, answers, verify } = world({ isRevoked: ({ issuedAt }) => issuedAt <= revokedAt });
    const { promise, resolve } = Promise.withResolvers<auth.VerifiedKey>();
    answers.next = () => promise;
    const waiting = verify('one');
    revokedAt = clock.at;
    answers.next = async () => undefined;
    resolve(verified(START));
    expect(await waiting).toBeUndefined();
    expect(asked).toHaveLength(2);
  });

  it('is refused when auth goes on answering it', async () => {
    const { asked, verify } = world({ isRevoked: () => true });
    expect(await verify('one')).toBeUndefined();
    expect(asked).toHaveLength(2);
  });
});
