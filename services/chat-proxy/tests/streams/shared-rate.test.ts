import { describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { createSharedRate } from '../../src/flows/limits/shared-rate.ts';
import { createSharedWorld, portsOf } from '../fixtures/stream-ports.ts';

/** Processes that share their counts. */
function processes(count: number) {
  const world = createSharedWorld();
  const clock = manualClock();
  const told: number[] = [];
  const rates = Array.from({ length: count }, (_, at) => {
    const { counts } = portsOf(world, String(at));
    return createSharedRate({ counts, clock, name: 'user', windowMs: 60_000, unshared: () => void told.push(at) });
  });
  const take = async (at: number, most: number) => rates[at % count]?.take('alice', most);
  return { world, clock, rates, take, told };
}

describe('a limit that three processes share', () => {
  it.each([
    [40, 'at once'],
    [60, 'at once'],
    [100, 'at once'],
    [1000, 'at once'],
    [5, 'one after the other'],
    [60, 'one after the other'],
    [120, 'one after the other'],
    [1000, 'one after the other'],
  ])('of %i lets as many through, within 5 %, when three times as many come %s', async (most, how) => {
    const { take } = processes(3);
    const wanted = Array.from({ length: most * 3 }, (_, at) => at);
    const states = how === 'at once' ? await Promise.all(wanted.map((at) => take(at, most))) : [];
    if (how !== 'at once') for (const at of wanted) states.push(await take(at, most));
    const through = states.filter((state) => state?.isAllowed).length;
    expect(through).toBeGreaterThanOrEqual(Math.floor(most * 0.95));
    expect(through).toBeLessThanOrEqual(most * 1.05);
  });

  it('is not asked for at the database before a request of somebody who asks now and then', async () => {
    const { world, take } = processes(1);
    world.isAway = true;
    const trips = world.trips;
    const taken = take(0, 60);
    expect(world.trips).toBe(trips);
    expect(await taken).toMatchObject({ isAllowed: true, remaining: 59 });
  });

  it('begins anew with the next minute, and not before', async () => {
    const { clock, take } = processes(1);
    for (let at = 0; at < 40; at += 1) await take(0, 40);
    expect(await take(0, 40)).toMatchObject({ isAllowed: false, remaining: 0, msLeft: 60_000 });
    clock.advance(59_999);
    expect((await take(0, 40))?.isAllowed).toBe(false);
    clock.advance(1);
    expect((await take(0, 40))?.isAllowed).toBe(true);
  });

  it('is each process by itself while the database is away, which is told, and never none', async () => {
    const { world, take, told } = processes(2);
    await take(0, 100);
    expect(told).toEqual([]);
    world.isAway = true;
    const states = await Promise.all(Array.from({ length: 400 }, (_, at) => take(at, 100)));
    const through = states.filter((state) => state?.isAllowed).length;
    expect(through).toBeGreaterThanOrEqual(100);
    expect(through).toBeLessThanOrEqual(200);
    // Once for each process and window, not for each request.
    expect(told.toSorted((a, b) => a - b)).toEqual([0, 1]);
  });

  it('gets back what was spent in vain', async () => {
    const { rates, take } = processes(1);
    for (let at = 0; at < 40; at += 1) await take(0, 40);
    rates[0]?.giveBack('alice');
    expect((await take(0, 40))?.isAllowed).toBe(true);
    expect((await take(0, 40))?.isAllowed).toBe(false);
  });
});
