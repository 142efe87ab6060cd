import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createRevocations, type Revocation, type RevocationSubject } from '../src/revocations.ts';

const ALICE = 'a'.repeat(24);
const BOB = 'b'.repeat(24);
const AT = 1_000_000_000_000;
const told = { madeAt: AT, reason: 'test' };
const issuedAt = (ms: number): number => Math.floor(ms / 1000);

const token = (claims: Partial<RevocationSubject> = {}): RevocationSubject => ({
  sub: ALICE,
  iat: issuedAt(AT - 60_000),
  sid: 'session-1',
  wid: 'workspace-1',
  ver: 3,
  mver: 7,
  ...claims,
});

type Brandless<T> = T extends unknown ? Omit<T, 'userId' | keyof typeof told> & { userId?: string } : never;
const entry = (parts: Brandless<Revocation>, others: Partial<typeof told> = {}): Revocation =>
  ({ ...told, ...parts, ...others }) as Revocation; // the ids of users are branded

const revoking = (...entries: Revocation[]) => {
  const revocations = createRevocations();
  revocations.apply(entries);
  return revocations;
};

describe('an entry', () => {
  it('about a session refuses its tokens, also those issued later, and no others', () => {
    const { isRevoked, find } = revoking(entry({ kind: 'session', id: 's', sessionId: 'session-1' }));
    expect(isRevoked(token())).toBe(true);
    expect(isRevoked(token({ iat: issuedAt(AT + 60_000) }))).toBe(true);
    expect(find(token())).toMatchObject({ id: 's', reason: 'test' });
    expect(isRevoked(token({ sid: 'session-2' }))).toBe(false);
    expect(isRevoked(token({ sid: undefined }))).toBe(false);
  });

  it('about a user refuses older versions, by version and not by time', () => {
    const { isRevoked } = revoking(entry({ kind: 'user', id: 'u', userId: ALICE, minVersion: 4 }));
    expect(isRevoked(token({ ver: 3, iat: issuedAt(AT + 60_000) }))).toBe(true);
    expect(isRevoked(token({ ver: 4, iat: issuedAt(AT - 60_000) }))).toBe(false);
    expect(isRevoked(token({ sub: BOB }))).toBe(false);
  });

  it('about a user refuses tokens without a version that were issued before it', () => {
    const { isRevoked } = revoking(entry({ kind: 'user', id: 'u', userId: ALICE, minVersion: 4 }));
    expect(isRevoked(token({ ver: undefined, iat: issuedAt(AT) }))).toBe(true);
    expect(isRevoked(token({ ver: undefined, iat: issuedAt(AT) + 1 }))).toBe(false);
  });

  it('about a user spares the session that caused it, until another entry does not', () => {
    const changed = { kind: 'user', userId: ALICE, exceptSessionId: 'session-1' } as const;
    const revocations = revoking(entry({ ...changed, id: 'u4', minVersion: 4 }));
    expect(revocations.isRevoked(token())).toBe(false);
    expect(revocations.isRevoked(token({ sid: 'session-2' }))).toBe(true);
    expect(revocations.isRevoked(token({ sid: undefined }))).toBe(true);
    revocations.apply([entry({ kind: 'user', userId: ALICE, id: 'u5', minVersion: 5 })]);
    expect(revocations.isRevoked(token())).toBe(true);
    expect(revocations.isRevoked(token({ ver: 5 }))).toBe(false);
  });

  it('about a membership refuses its older versions in that workspace only', () => {
    const member = { kind: 'member', userId: ALICE, workspaceId: 'workspace-1' } as const;
    const { isRevoked } = revoking(entry({ ...member, id: 'm', minVersion: 8 }));
    expect(isRevoked(token({ mver: 7 }))).toBe(true);
    expect(isRevoked(token({ mver: undefined }))).toBe(true);
    expect(isRevoked(token({ mver: 8 }))).toBe(false);
    expect(isRevoked(token({ wid: 'workspace-2' }))).toBe(false);
    expect(isRevoked(token({ sub: BOB }))).toBe(false);
  });

  it('about a workspace refuses its tokens from before, of everybody', () => {
    const { isRevoked } = revoking(entry({ kind: 'workspace', id: 'w', workspaceId: 'workspace-1' }));
    for (const sub of [ALICE, BOB]) expect(isRevoked(token({ sub }))).toBe(true);
    expect(isRevoked(token({ iat: issuedAt(AT) + 1 }))).toBe(false);
    expect(isRevoked(token({ wid: 'workspace-2' }))).toBe(false);
  });

  it('about a key refuses what was verified before it', () => {
    const { isRevoked } = revoking(entry({ kind: 'key', id: 'k', keyId: 'key-1' }));
    expect(isRevoked(token({ keyId: 'key-1' }))).toBe(true);
    expect(isRevoked(token({ keyId: 'key-1', iat: issuedAt(AT) + 1 }))).toBe(false);
    expect(isRevoked(token({ keyId: 'key-2' }))).toBe(false);
    expect(isRevoked(token())).toBe(false);
  });

  it('counts once, however often it is told', () => {
    const revocations = createRevocations();
    const one = entry({ kind: 'session', id: 's', sessionId: 'session-1' });
    expect([revocations.apply([one, one]), revocations.apply([one]), revocations.size]).toEqual([1, 0, 1]);
  });
});

const sessionEntry = (number: number): Revocation =>
  entry({ kind: 'session', id: `s${number}`, sessionId: `session-${number}` }, { madeAt: AT + number * 1000 });

describe('the memory', () => {
  it('forgets what speaks of expired tokens only', () => {
    const revocations = revoking(...[1, 2, 3].map(sessionEntry));
    revocations.forgetBefore(AT + 3000);
    expect(revocations.size).toBe(1);
    expect(revocations.isRevoked(token({ sid: 'session-2' }))).toBe(false);
    expect(revocations.isRevoked(token({ sid: 'session-3' }))).toBe(true);
  });

  it('that is full refuses every token from before what it forgot, and takes that not in again', () => {
    const revocations = createRevocations({ capacity: 2 });
    revocations.apply([1, 2, 3].map(sessionEntry));
    expect(revocations.size).toBe(2);
    expect(revocations.isRevoked(token({ sid: 'session-1' }))).toBe(true);
    expect(revocations.isRevoked(token({ sid: 'innocent' }))).toBe(true);
    expect(revocations.isRevoked(token({ sid: 'innocent', iat: issuedAt(AT) + 2 }))).toBe(false);
    expect(revocations.find(token({ sid: 'innocent' }))).toBeUndefined();
    expect(revocations.apply([sessionEntry(1)])).toBe(0);
  });

  it('never lets a revoked token through, whatever its size, the order of entries and repetitions', () => {
    const numbers = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 80 });
    fc.assert(
      fc.property(numbers, fc.integer({ min: 1, max: 30 }), (order, capacity) => {
        const revocations = createRevocations({ capacity });
        for (const number of order) revocations.apply([sessionEntry(number)]);
        expect(revocations.size).toBeLessThanOrEqual(capacity);
        for (const number of order) {
          const iat = issuedAt(AT + number * 1000 - 1);
          expect(revocations.isRevoked(token({ sid: `session-${number}`, iat }))).toBe(true);
        }
      }),
    );
  });
});
