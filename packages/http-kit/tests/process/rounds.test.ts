import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createRounds, requestContext, type RoundOptions, type Rounds } from '../../src/index.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);

interface Stage {
  readonly rounds: Rounds;
  /** How often a turn was begun. */
  turns(): number;
  /** Ends the turn under way. */
  end(answer?: unknown): Promise<void>;
  fail(error: Error): Promise<void>;
  readonly failures: unknown[];
}

/** Rounds whose turns end when the test says so. */
function stage(options: Partial<RoundOptions> = {}): Stage {
  const failures: unknown[] = [];
  let turns = 0;
  let underWay = Promise.withResolvers<unknown>();
  const turn = () => {
    turns += 1;
    underWay = Promise.withResolvers<unknown>();
    return underWay.promise;
  };
  const rounds = createRounds(turn, { everyMs: 1000, failed: (error) => failures.push(error), ...options });
  return {
    rounds,
    failures,
    turns: () => turns,
    async end(answer) {
      underWay.resolve(answer);
      await pass(0);
    },
    async fail(error) {
      underWay.reject(error);
      await pass(0);
    },
  };
}

describe('Rounds', () => {
  it('begin after their delay, and then at their interval', async () => {
    const { rounds, turns, end } = stage({ delayMs: 300 });
    rounds.start();
    await pass(299);
    expect(turns()).toBe(0);
    await pass(1);
    expect(turns()).toBe(1);
    await end();
    await pass(999);
    expect(turns()).toBe(1);
    await pass(1);
    expect(turns()).toBe(2);
    await end();
    await rounds.close();
  });

  it('come sooner again after one that failed, when it is said how much sooner, and then keep their rhythm', async () => {
    const { rounds, turns, end, fail } = stage({ retryMs: 100 });
    rounds.start();
    await pass(0);
    await fail(new Error('away'));
    await pass(99);
    expect(turns()).toBe(1);
    await pass(1);
    expect(turns()).toBe(2);
    await end();
    await pass(999);
    expect(turns()).toBe(2);
    await pass(1);
    expect(turns()).toBe(3);
    await end();
    await rounds.close();
  });

  it('are never under way twice: one that takes longer leaves beats out and keeps the rhythm', async () => {
    const { rounds, turns, end } = stage();
    rounds.start();
    await pass(0);
    await pass(2400);
    expect(turns()).toBe(1);
    await end();
    await pass(599);
    expect(turns()).toBe(1);
    await pass(1);
    expect(turns()).toBe(2);
    await end();
    await rounds.close();
  });

  it('go on without a pause while there is more to do', async () => {
    const { rounds, turns, end } = stage();
    rounds.start();
    await pass(0);
    await end(true);
    expect(turns()).toBe(2);
    await end(true);
    expect(turns()).toBe(3);
    await end({ more: true });
    expect(turns()).toBe(3);
    await rounds.close();
  });

  it('try again at the next beat after a failure, which is told', async () => {
    const { rounds, turns, fail, failures } = stage();
    rounds.start();
    await pass(0);
    const fault = new Error('the database is away');
    await fail(fault);
    expect([turns(), failures]).toEqual([1, [fault]]);
    await pass(1000);
    expect(turns()).toBe(2);
    await fail(fault);
    await rounds.close();
  });

  it('do not wait when they are nudged, not even after the turn under way', async () => {
    const { rounds, turns, end } = stage();
    rounds.start();
    await pass(0);
    await end();
    rounds.nudge();
    await pass(0);
    expect(turns()).toBe(2);
    rounds.nudge();
    rounds.nudge();
    await pass(0);
    expect(turns()).toBe(2);
    await end();
    expect(turns()).toBe(3);
    await end();
    expect(turns()).toBe(3);
    await rounds.close();
  });

  it('are not begun twice by a turn that nudges', async () => {
    let turns = 0;
    const rounds: Rounds = createRounds(
      async () => {
        turns += 1;
        if (turns === 1) rounds.nudge();
      },
      { everyMs: 1000, failed: () => undefined },
    );
    rounds.start();
    await pass(0);
    expect(turns).toBe(2);
    await rounds.close();
  });

  it('end with the turn under way, for which closing waits', async () => {
    const { rounds, turns, end } = stage();
    rounds.start();
    await pass(0);
    let isClosed = false;
    const closed = rounds.close().then(() => {
      isClosed = true;
    });
    await pass(0);
    expect(isClosed).toBe(false);
    await end(true);
    await closed;
    rounds.nudge();
    rounds.start();
    await pass(10_000);
    expect(turns()).toBe(1);
  });

  it('run under ids of their own, whoever has nudged them', async () => {
    const seen: unknown[] = [];
    const note = async (): Promise<void> => void seen.push({ ...requestContext.get() });
    const rounds = createRounds(note, { everyMs: 1000, failed: () => undefined });
    rounds.start();
    await pass(0);
    requestContext.run({ requestId: 'of-a-request', userId: 'alice', workspaceId: 'hers' }, () => rounds.nudge());
    await pass(1000);
    await rounds.close();
    expect(seen).toEqual(Array(3).fill({ requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) }));
    expect(new Set(seen.map((ids) => Object(ids).requestId)).size).toBe(3);
  });

  it('that were not started do nothing', async () => {
    const { rounds, turns } = stage();
    rounds.nudge();
    await pass(10_000);
    await rounds.close();
    expect(turns()).toBe(0);
  });
});
