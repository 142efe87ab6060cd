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
