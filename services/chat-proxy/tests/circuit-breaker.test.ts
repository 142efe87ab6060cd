import { describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { createCircuitBreaker } from '../src/clients/circuit-breaker.ts';

const PAUSE_MS = 10_000;
const VERDICTS = new Map<string, 'away' | 'unknown'>([
  ['Error: away', 'away'],
  ['Error: the caller left', 'unknown'],
]);

function createNeighbour() {
  const clock = manualClock();
  const neighbour = { isAway: false, calls: 0, refused: 0, opened: 0, clock };
  const guarded = createCircuitBreaker({
    clock,
    failures: 5,
    pauseMs: PAUSE_MS,
    judge: (error) => VERDICTS.get(String(error)) ?? 'answered',
    opened: () => void (neighbour.opened += 1),
    refusal: (waitMs) => new Error(`closed for ${waitMs}`),
  });
  const call = (work?: () => Promise<string>) =>
    guarded
      .run(async () => {
        neighbour.calls += 1;
        if (work) return work();
        if (neighbour.isAway) throw new Error('away');
        return 'fine';
      })
      .catch((error: unknown) => (error instanceof Error ? error.message : error));
  const calls = async (count: number) => {
    for (let at = 0; at < count; at += 1) await call();
  };
  return { neighbour, call, calls, guarded };
}

describe('a neighbour that is away', () => {
  it('is asked five times in a row, and then not again for ten seconds', async () => {
    const { neighbour, call, calls } = createNeighbour();
    neighbour.isAway = true;
    await calls(5);
    expect(await call()).toBe('closed for 10000');
    neighbour.clock.advance(PAUSE_MS - 1);
    expect([await call(), neighbour.calls]).toEqual(['closed for 1', 5]);
  });

  it('is left alone for no longer than the pause when the clock is put back in the meantime', async () => {
    const { neighbour, call, calls } = createNeighbour();
    neighbour.isAway = true;
    await calls(5);
    neighbour.clock.set(neighbour.clock.now() - 120_000);
    expect(await call()).toBe('closed for 10000');
    neighbour.clock.advance(PAUSE_MS);
    neighbour.isAway = false;
    expect(await call()).toBe('fine');
  });

  it('is then asked by one caller only, whose success lets all others in', async () => {
    const { neighbour, call, calls } = createNeighbour();
    neighbour.isAway = true;
    await calls(5);
    neighbour.clock.advance(PAUSE_MS);
    const answer = Promise.withResolvers<string>();
    const probe = call(() => answer.promise);
    expect(await call()).toBe('closed for 0');
    neighbour.isAway = false;
    answer.resolve('back');
    expect([await probe, await call(), neighbour.calls]).toEqual(['back', 'fine', 7]);
  });

  it('is left alone for another ten seconds when the one caller fails', async () => {
    const { neighbour, call, calls } = createNeighbour();
    neighbour.isAway = true;
    await calls(5);
    neighbour.clock.advance(PAUSE_MS);
    expect([await call(), await call()]).toEqual(['away', 'closed for 10000']);
  });

  it('is asked on when an answer comes in between, or when it refuses', async () => {
    const { neighbour, call, calls } = createNeighbour();
    neighbour.isAway = true;
    await calls(4);
    expect(await call(async () => Promise.reject(new Error('402')))).toBe('402');
    await calls(4);
    expect(neighbour.calls).toBe(9);
  });

  it('is neither excused nor blamed when a caller leaves, also one that was to try again', async () => {
    const { neighbour, call, calls, guarded } = createNeighbour();
    neighbour.isAway = true;
    await calls(4);
    await call(async () => Promise.reject(new Error('the caller left')));
    expect(guarded.state).toBe('closed');
    await call();
    expect([guarded.state, neighbour.opened, guarded.waitMs()]).toEqual(['open', 1, PAUSE_MS]);
    neighbour.clock.advance(PAUSE_MS);
    expect([guarded.state, guarded.waitMs()]).toEqual(['half-open', 0]);
    await call(async () => Promise.reject(new Error('the caller left')));
    expect([guarded.state, guarded.waitMs(), await call(), guarded.state]).toEqual(['half-open', 0, 'away', 'open']);
    expect(neighbour.opened).toBe(2);
  });

  it('is not worth asking while somebody else tries', async () => {
    const { neighbour, call, calls, guarded } = createNeighbour();
    neighbour.isAway = true;
    await calls(5);
    neighbour.clock.advance(PAUSE_MS);
    const answer = Promise.withResolvers<string>();
    const probe = call(() => answer.promise);
    expect(guarded.waitMs()).toBe(1);
    answer.resolve('back');
    await probe;
    expect([guarded.waitMs(), guarded.state]).toEqual([0, 'closed']);
  });

  it('may also fail in what had begun well', async () => {
    const { neighbour, guarded, call } = createNeighbour();
    for (let at = 0; at < 5; at += 1) guarded.noteLateFailure(new Error('away'));
    expect([await call(), neighbour.calls]).toEqual(['closed for 10000', 0]);
  });
});
