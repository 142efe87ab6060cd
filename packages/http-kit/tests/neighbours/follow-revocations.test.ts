import { afterEach, describe, expect, it } from '@jest/globals';
import { type FollowerOptions, followRevocations } from '../../src/follow-revocations.ts';
import { alice, serviceToken } from '../kit.ts';
import { closeLater, json, leaveNeighbours, neighbour, problem, type Script } from './neighbour.ts';

afterEach(leaveNeighbours);

const NOW = 1_900_000_000_000;
const OVERLAP_MS = 30_000;
const session = (id: string) => ({
  kind: 'session',
  sessionId: id,
  id: `session:${id}`,
  madeAt: NOW,
  reason: 'logout',
});
const page = (ids: string[], { nextCursor = null as string | null, now = NOW } = {}) =>
  json(200, { revocations: ids.map(session), nextCursor, now });
const tokenOf = (sid: string) => ({ sub: alice, iat: NOW / 1000 - 60, sid });

/** A follower whose every turn the test waits for. */
async function follower(script: Script, options: Partial<FollowerOptions> = {}) {
  const { visits, port } = await neighbour(script);
  const told: (number | 'failed')[] = [];
  let wake = (): void => undefined;
  const tell = (what: number | 'failed'): void => {
    told.push(what);
    wake();
  };
  const clock = { ms: NOW, now: () => clock.ms };
  const following = followRevocations({
    baseUrl: `http://127.0.0.1:${port}`,
    token: async () => serviceToken(),
    everyMs: 10,
    clock,
    heard: tell,
    failed: () => tell('failed'),
    ...options,
  });
  closeLater(() => following.close());
  async function until(happened: () => boolean): Promise<void> {
    while (!happened()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  }
  return { following, visits, told, clock, until };
}

describe('A follower of revocations', () => {
  it('begins with everything, then asks from the last answer on with an overlap, and counts an entry once', async () => {
    const { following, visits, told, until } = await follower(page(['s1']));
    expect(following.isRevoked(tokenOf('s1'))).toBe(false);
    following.start();
    await until(() => told.length >= 2);
    expect(visits.slice(0, 2).map(({ line }) => line)).toEqual([
      'GET /api/internal/revocations?since=0',
      `GET /api/internal/revocations?since=${NOW - OVERLAP_MS}`,
    ]);
    expect(visits[0]?.headers.authorization).toBe(`Bearer ${serviceToken()}`);
    expect(told.slice(0, 2)).toEqual([1, 0]);
    expect(following.isRevoked(tokenOf('s1'))).toBe(true);
    expect(following.find(tokenOf('s1'))).toMatchObject({ reason: 'logout' });
    expect(following.isRevoked(tokenOf('s2'))).toBe(false);
  });

  it('reads on to the last page, and goes on from the moment of the first', async () => {
    const pages = [page(['s1'], { nextCursor: '1:a' }), page(['s2'], { now: NOW + 5000 })];
    const script: Script = (response, attempt) => (pages[attempt - 1] ?? page([]))(response, attempt);
    const { following, visits, told, until } = await follower(script);
    following.start();
    await until(() => told.length >= 2);
    expect(visits.slice(0, 3).map(({ line }) => line.split('?')[1])).toEqual([
      'since=0',
      'since=0&cursor=1%3Aa',
      `since=${NOW - OVERLAP_MS}`,
    ]);
    for (const sid of ['s1', 's2']) expect(following.isRevoked(tokenOf(sid))).toBe(true);
  });

  it('goes on with what it knows while auth is away, tells it once, and shows its age', async () => {
    let isAway = false;
    const script: Script = (response, attempt) =>
      (isAway ? problem(503, 'dependency_unavailable') : page(['s1']))(response, attempt);
    const { following, told, visits, clock, until } = await follower(script);
    following.start();
    await until(() => told.length >= 1);
    isAway = true;
    await until(() => told.includes('failed'));
    const asked = visits.length;
    clock.ms += 90_000;
    expect(following.ageSeconds()).toBe(90);
    expect([following.isRevoked(tokenOf('s1')), following.isRevoked(tokenOf('s2'))]).toEqual([true, false]);
    isAway = false;
    await until(() => told.at(-1) === 0);
    expect(visits.length).toBeGreaterThan(asked);
    expect(told.filter((what) => what === 'failed')).toHaveLength(1);
    expect(following.ageSeconds()).toBe(0);
  });
});
