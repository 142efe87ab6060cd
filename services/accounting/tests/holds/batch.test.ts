import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createBatch, createUnderWay } from '../../src/store/batch.ts';

const OPTIONS = {
  lanes: 1,
  mostItems: 3,
  mostWaiting: 1000,
  waitMs: 60_000,
  ownerOf: (item: number) => `owner ${item % 100}`,
  isBusy: (result: number) => Number.isNaN(result),
};

/** A database whose every statement waits until the test lets it go. */
function database(fails: (items: readonly number[]) => unknown = () => undefined) {
  const statements: { items: readonly number[]; go: () => void }[] = [];
  const { promise: stopped, resolve: open } = Promise.withResolvers<void>();
  let isOpen = false;
  return {
    statements,
    openGate() {
      isOpen = true;
      for (const { go } of statements) go();
      open();
    },
    async run(items: readonly number[]) {
      const gate = Promise.withResolvers<void>();
      statements.push({ items, go: gate.resolve });
      if (!isOpen) await Promise.race([gate.promise, stopped]);
      const error = fails(items);
      if (error instanceof Error) throw error;
      return items.map((item) => item * 10);
    },
  };
}

const fault = (code: string) => Object.assign(new Error(code), { code });

describe('a batch', () => {
  it('sends the first call at once and gathers what arrives meanwhile, in order and bounded', async () => {
    const { run, statements, openGate } = database();
    const call = createBatch(run, OPTIONS);
    const answers = [1, 2, 3, 4, 5].map((item) => call(item));
    expect(statements.map(({ items }) => items)).toEqual([[1]]);
    openGate();
    expect(await Promise.all(answers)).toEqual([10, 20, 30, 40, 50]);
    expect(statements.map(({ items }) => items)).toEqual([[1], [2, 3, 4], [5]]);
  });

  it('refuses at once what finds the queue full, also behind one busy owner, and takes calls again when there is room', async () => {
    const { run, openGate } = database();
    const call = createBatch(run, { ...OPTIONS, mostWaiting: 3 });
    const [first, ...others] = [1, 2, 3, 4, 5, 6].map((item) => call(item));
    const refused = await Promise.allSettled(others.slice(3));
    expect(refused.map((each) => each.status === 'rejected' && Object(each.reason).code)).toEqual(['53300', '53300']);
    openGate();
    expect(await Promise.all([first, ...others.slice(0, 3)])).toEqual([10, 20, 30, 40]);
    expect(await Promise.all([7, 8].map((item) => call(item)))).toEqual([70, 80]);
  });

  it('lets a bad item fail alone', async () => {
    const { run, openGate } = database((items) => (items.includes(3) ? fault('23514') : undefined));
    const call = createBatch(run, OPTIONS);
    openGate();
    const answers = await Promise.allSettled([1, 2, 3, 4].map((item) => call(item)));
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  });

  it('asks a database that is away once, not once for each item', async () => {
    const { run, statements, openGate } = database(() => fault('ECONNREFUSED'));
    const call = createBatch(run, OPTIONS);
    const answers = [1, 2, 3].map((item) => call(item));
    openGate();
    expect((await Promise.allSettled(answers)).map(({ status }) => status)).toEqual([
      'rejected',
      'rejected',
      'rejected',
    ]);
    expect(statements).toHaveLength(2);
  });

  it('refuses what has waited too long for its turn', async () => {
    const { run, openGate } = database();
    const call = createBatch(run, { ...OPTIONS, waitMs: 0 });
    const answers = [1, 2].map((item) => call(item));
    openGate();
    expect((await Promise.allSettled(answers)).map(({ status }) => status)).toContain('rejected');
  });

  it('refuses what nobody waits for any more, before it is sent', async () => {
    const { run, statements, openGate } = database();
    const call = createBatch(run, OPTIONS);
    const gone = new AbortController();
    const answers = [call(1), call(2, gone.signal), call(3)];
    gone.abort();
    openGate();
    expect((await Promise.allSettled(answers)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(statements.map(({ items }) => items)).toEqual([[1], [3]]);
  });

  it('lets the items of a busy owner wait together, in order, and nobody else with them', async () => {
    const statements: { items: readonly number[]; mayWait: boolean }[] = [];
    const lock = Promise.withResolvers<void>();
    const call = createBatch(async (items: readonly number[], mayWait: boolean) => {
      statements.push({ items, mayWait });
      if (mayWait) await lock.promise;
      return items.map((item) => (item % 100 === 7 && !mayWait ? Number.NaN : item));
    }, OPTIONS);
    const busy = [107, 207].map((item) => call(item));
    expect(await call(1)).toBe(1);
    busy.push(call(307), call(407));
    expect(await call(2)).toBe(2);
    lock.resolve();
    expect(await Promise.all(busy)).toEqual([107, 207, 307, 407]);
    const waited = statements.filter(({ mayWait }) => mayWait).map(({ items }) => items);
    expect(waited).toEqual([[107], [207, 307, 407]]);
  });

  it('keeps the items of one owner from meeting each other, in two queues and several lanes, and lets others pass', async () => {
    const { run, statements, openGate } = database();
    const options = { ...OPTIONS, lanes: 3, underWay: createUnderWay() };
    const [holds, endings] = [createBatch(run, options), createBatch(run, options)];
    const answers = [holds(101), holds(201), endings(301), endings(2), holds(401), endings(501)];
    // The first of owner 1, and nobody's but owner 2's beside it.
    expect(statements.map(({ items }) => items)).toEqual([[101], [2]]);
    openGate();
    expect(await Promise.all(answers)).toEqual([1010, 2010, 3010, 20, 4010, 5010]);
    // In turns: neither queue keeps the other waiting.
    expect(statements.map(({ items }) => items)).toEqual([[101], [2], [301, 501], [201, 401]]);
  });

  it('goes beside a statement that takes long, and beside no other', async () => {
    const { run, statements, openGate } = database();
    const call = createBatch(run, { ...OPTIONS, lanes: 2, patienceMs: 20 });
    const began = performance.now();
    const answers = [1, 2, 3].map((item) => call(item));
    expect(statements.map(({ items }) => items)).toEqual([[1]]);
    while (statements.length === 1) await turn();
    expect(performance.now() - began).toBeGreaterThan(19);
    expect(statements.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    openGate();
    expect(await Promise.all(answers)).toEqual([10, 20, 30]);
  });
});
