import { describe, expect, it } from '@jest/globals';
import { createGather } from '../src/index.ts';

const LONG = 60_000;

/** A neighbour whose every answer waits until the test lets it go. */
function neighbour() {
  const batches: { items: readonly number[]; go: () => void; fail: (error: Error) => void }[] = [];
  return {
    batches,
    async run(items: readonly number[]): Promise<PromiseSettledResult<number>[]> {
      const gate = Promise.withResolvers<void>();
      batches.push({ items, go: gate.resolve, fail: gate.reject });
      await gate.promise;
      return items.map((item) =>
        item < 0
          ? { status: 'rejected', reason: new Error(`refused ${item}`) }
          : { status: 'fulfilled', value: item * 10 },
      );
    },
  };
}
const itemsOf = ({ batches }: ReturnType<typeof neighbour>) => batches.map(({ items }) => items);
const turn = () => new Promise((resolve) => void setImmediate(resolve));

describe('gathered calls', () => {
  it('go in the same turn when nothing is under way, and together when something is', async () => {
    const there = neighbour();
    const call = createGather({ run: there.run, mostItems: 10, patienceMs: LONG });
    const answers = [1, 2].map((item) => call(item));
    expect(itemsOf(there)).toEqual([]);
    await turn();
    expect(itemsOf(there)).toEqual([[1, 2]]);
    answers.push(call(3), call(4));
    await turn();
    expect(itemsOf(there)).toEqual([[1, 2]]);
    there.batches[0]?.go();
    expect(await answers[0]).toBe(10);
    // Woken by the same answer.
    answers.push(call(5));
    while (there.batches.length < 2) await turn();
    expect(itemsOf(there)).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
    there.batches[1]?.go();
    expect(await Promise.all(answers)).toEqual([10, 20, 30, 40, 50]);
    answers.push(call(6));
    while (there.batches.length < 3) await turn();
    expect(itemsOf(there).at(-1)).toEqual([6]);
  });

  it('wait for no others when a batch is full, or when what is under way takes long', async () => {
    const there = neighbour();
    const call = createGather({ run: there.run, mostItems: 2, patienceMs: 1 });
    const answers = [1, 2, 3].map((item) => call(item));
    expect(itemsOf(there)).toEqual([[1, 2]]);
    while (there.batches.length < 2) await turn();
    expect(itemsOf(there)).toEqual([[1, 2], [3]]);
    for (const { go } of there.batches.toReversed()) go();
    expect(await Promise.all(answers)).toEqual([10, 20, 30]);
  });

  it('wait for nobody while few are under way, and for company when many are', async () => {
    const there = neighbour();
    const call = createGather({ run: there.run, mostItems: 10, patienceMs: LONG, fewUnderWay: 2 });
    const answers = [];
    for (const item of [1, 2, 3]) {
      answers.push(call(item));
      await turn();
    }
    expect(itemsOf(there)).toEqual([[1], [2], [3]]);
    answers.push(call(4));
    await turn();
    expect(itemsOf(there)).toHaveLength(3);
    answers.push(call(5));
    there.batches[1]?.go();
    expect(await answers[1]).toBe(20);
    while (there.batches.length < 4) await turn();
    expect(itemsOf(there).at(-1)).toEqual([4, 5]);
    for (const { go } of there.batches) go();
    expect(await Promise.all(answers)).toEqual([10, 20, 30, 40, 50]);
  });

  it('go at once when they are urgent and nothing is under way, and those of the same turn together after it', async () => {
    const there = neighbour();
    const call = createGather({ run: there.run, mostItems: 10, patienceMs: LONG, fewUnderWay: 2, isUrgent: true });
    const answers = [call(1)];
    expect(itemsOf(there)).toEqual([[1]]);
    answers.push(call(2), call(3));
    expect(itemsOf(there)).toEqual([[1]]);
    await turn();
    expect(itemsOf(there)).toEqual([[1], [2, 3]]);
    for (const { go } of there.batches) go();
    expect(await Promise.all(answers)).toEqual([10, 20, 30]);
  });

  it('wait for the end of their turn, also when they are urgent, as long as there is company', async () => {
    const there = neighbour();
    const call = createGather({ run: there.run, mostItems: 10, patienceMs: LONG, fewUnderWay: 2, isUrgent: true });
    const done = async (answers: Promise<number>[]): Promise<void> => {
      for (const { go } of there.batches) go();
      await Promise.all(answers);
      await turn();
    };
    const first = [call(1), call(2), call(3)];
    await turn();
    await done(first);
    const crowd = [call(4), call(5)];
    expect(itemsOf(there)).toEqual([[1], [2, 3]]);
    await turn();
    expect(itemsOf(there).at(-1)).toEqual([4, 5]);
    await done(crowd);
    const last = [call(6)];
    await turn();
    expect(itemsOf(there).at(-1)).toEqual([6]);
    await done(last);
    // Nobody came with it: the next one goes at once again.
    const alone = [call(7)];
    expect(itemsOf(there).at(-1)).toEqual([7]);
    await done(alone);
  });

  it('wait for company from the first on when nobody waits for their answers, and not longer than until they are many', async () => {
    const there = neighbour();
    const call = createGather({ run: there.run, mostItems: 3, patienceMs: LONG, isPatient: true });
    const answers = [call(1), call(2)];
    await turn();
    expect(itemsOf(there)).toEqual([]);
    answers.push(call(3), call(4));
    expect(itemsOf(there)).toEqual([[1, 2, 3]]);
    there.batches[0]?.go();
    expect(await Promise.all(answers.slice(0, 3))).toEqual([10, 20, 30]);
    await turn();
    expect(itemsOf(there)).toHaveLength(1);
    const inTime = createGather({ run: there.run, mostItems: 3, patienceMs: 1, isPatient: true });
    const last = inTime(5);
    while (there.batches.length < 2) await turn();
    there.batches[1]?.go();
    expect(await last).toBe(50);
    void call(6);
    void call(7);
    expect(itemsOf(there).at(-1)).toEqual([4, 6, 7]);
  });

  it('fail alone when they are refused alone, and together with what happened to all of them', async () => {
    const there = neighbour();
    const call = createGather({ run: there.run, mostItems: 10, patienceMs: LONG });
    const settled = Promise.allSettled([1, -2, 3].map((item) => call(item)));
    await turn();
    there.batches[0]?.go();
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const lost = Promise.allSettled([4, 5, 6].map((item) => call(item)));
    await turn();
    there.batches[1]?.fail(new Error('gone'));
    expect((await lost).map((each) => each.status === 'rejected' && each.reason.message)).toEqual([
      'gone',
      'gone',
      'gone',
    ]);
  });

  it('are refused when the answer is too short for all of them', async () => {
    const call = createGather({
      run: async () => [] as PromiseSettledResult<number>[],
      mostItems: 10,
      patienceMs: LONG,
    });
    await expect(call(1)).rejects.toThrow('a batch of 1 had 0 outcomes');
  });
});
