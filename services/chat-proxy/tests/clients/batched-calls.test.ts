import { describe, expect, it } from '@jest/globals';
import { accounting } from '@tollgate/contracts';
import { AppError, requestContext, unavailable } from '@tollgate/http-kit';
import { createBatchedCalls } from '../../src/clients/batched-calls.ts';

const AWAY = 'ACCOUNTING_UNAVAILABLE';
const turn = () => new Promise((resolve) => void setImmediate(resolve));
const away = () => unavailable(AWAY, 1);
const problem = (status: number, code: string) => ({ status, body: { code, detail: code } });

type Answers = { answers: { status: number; body?: unknown }[] };

/** Calls whose batches are answered by `answer`, and each of which goes alone by `alone`. */
function stage(
  answer: (items: readonly number[], batch: number) => Answers,
  alone: (item: number) => number = (item) => item * 10,
) {
  const batches: (readonly number[])[] = [];
  const single: number[] = [];
  const harmless: string[] = [];
  let now = 0;
  const calls = createBatchedCalls<number, number>({
    operation: accounting.holdCredits,
    send: async (items) => {
      batches.push(items);
      return answer(items, batches.length);
    },
    timeoutMs: 60_000,
    clock: { now: () => now },
    onUnavailable: AWAY,
    hadNoEffect: ({ code }) => void harmless.push(code),
  });
  const call = (item: number) =>
    calls({
      item,
      call: {},
      alone: async () => {
        single.push(item);
        return alone(item);
      },
    });
  return {
    batches,
    single,
    harmless,
    wait: (ms: number) => {
      now += ms;
    },
    call,
    /** The first goes alone, and the others together while it is under way. */
    async all(items: readonly number[]) {
      const [first = 0, ...others] = items;
      const began = call(first);
      await turn();
      const settled = await Promise.allSettled([began, ...others.map(call)]);
      return settled.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as AppError).code));
    },
  };
}
const granted = (items: readonly number[]): Answers => ({
  answers: items.map((item) => ({ status: 201, body: item * 10 })),
});

/** Calls each of which is under way until the test answers it. */
function waitingCalls(urgentWhileFew?: number) {
  const sent: { items: readonly number[]; go: () => void }[] = [];
  const answered = async (items: readonly number[]) => {
    const gate = Promise.withResolvers<void>();
    sent.push({ items, go: gate.resolve });
    await gate.promise;
    return granted(items);
  };
  const calls = createBatchedCalls<number, number>({
    operation: accounting.holdCredits,
    send: answered,
    timeoutMs: 60_000,
    clock: { now: () => 0 },
    onUnavailable: AWAY,
    hadNoEffect: () => undefined,
    ...(urgentWhileFew !== undefined && { urgentWhileFew }),
  });
  const call = (item: number) => calls({ item, call: {}, alone: async () => answered([item]).then(() => item * 10) });
  return { call, itemsSent: () => sent.map(({ items }) => items), answerAll: () => sent.forEach(({ go }) => go()) };
}

describe('calls that a first byte waits for', () => {
  it('go at once, beside few others, and never behind calls of another kind', async () => {
    const holds = waitingCalls(2);
    const endings = waitingCalls();
    const ended = [1, 2, 3].map(endings.call);
    const first = holds.call(4);
    expect([endings.itemsSent(), holds.itemsSent()]).toEqual([[], [[4]]]);
    await turn();
    ended.push(endings.call(5));
    const others = [];
    for (const item of [6, 7]) {
      others.push(holds.call(item));
      await turn();
    }
    expect(endings.itemsSent()).toEqual([[1, 2, 3]]);
    expect(holds.itemsSent()).toEqual([[4], [6], [7]]);
    holds.answerAll();
    expect(await Promise.all([first, ...others])).toEqual([40, 60, 70]);
    endings.answerAll();
    expect(await Promise.all(ended.slice(0, 3))).toEqual([10, 20, 30]);
    while (endings.itemsSent().length < 2) await turn();
    endings.answerAll();
    expect(await ended[3]).toBe(50);
  });

  it('go together once more than few are under way', async () => {
    const { call, itemsSent, answerAll } = waitingCalls(2);
    const began = [1, 2, 3].map(call);
    await turn();
    expect(itemsSent()).toEqual([[1], [2, 3]]);
    const late = [4, 5].map(call);
    await turn();
    expect(itemsSent()).toHaveLength(2);
    answerAll();
    await Promise.all(began);
    while (itemsSent().length < 3) await turn();
    answerAll();
    expect(await Promise.all(late)).toEqual([40, 50]);
    expect(itemsSent().at(-1)).toEqual([4, 5]);
  });
});

describe('calls for holds', () => {
  it('go alone one by one, and together when they come together', async () => {
    const { call, batches, single } = stage(granted);
    expect(await call(1)).toBe(10);
    expect(await call(2)).toBe(20);
    expect([batches, single]).toEqual([[], [1, 2]]);
    const together = stage(granted);
    expect(await together.all([1, 2, 3])).toEqual([10, 20, 30]);
    expect([together.batches, together.single]).toEqual([[[2, 3]], [1]]);
  });

  it('have each the refusal that it would have had alone, and prove thereby that nothing was held', async () => {
    const { all, harmless, single } = stage(() => ({
      answers: [problem(402, 'insufficient_credits'), { status: 201, body: 30 }, problem(403, 'account_disabled')],
    }));
    expect(await all([1, 2, 3, 4])).toEqual([10, 'INSUFFICIENT_CREDITS', 30, 'ACCOUNT_DISABLED']);
    expect(harmless).toEqual(['INSUFFICIENT_CREDITS', 'ACCOUNT_DISABLED']);
    expect(single).toEqual([1]);
  });

  it('are made again alone when a batch cannot decide them in time, and prove nothing then by a refusal', async () => {
    const { all, harmless, single } = stage(
      () => ({ answers: [{ status: 202 }, { status: 202 }, problem(503, 'dependency_unavailable')] }),
      (item) => {
        if (item === 3) throw new AppError('INSUFFICIENT_CREDITS');
        return item * 10;
      },
    );
    expect(await all([1, 2, 3, 4])).toEqual([10, 20, 'INSUFFICIENT_CREDITS', 40]);
    expect([single, harmless]).toEqual([[1, 2, 3, 4], []]);
  });

  it('are made alone when the batch is refused for one of them: it fails none of its neighbours', async () => {
    const { all, single } = stage(
      () => {
        throw new AppError('VALIDATION_FAILED');
      },
      (item) => {
        if (item === 3) throw new AppError('VALIDATION_FAILED');
        return item * 10;
      },
    );
    expect(await all([1, 2, 3, 4])).toEqual([10, 20, 'VALIDATION_FAILED', 40]);
    expect(single).toEqual([1, 2, 3, 4]);
  });

  it('are made alone for a while where batches are not known', async () => {
    const { all, wait, batches } = stage(() => {
      throw new AppError('NOT_FOUND');
    });
    expect(await all([1, 2, 3])).toEqual([10, 20, 30]);
    expect(await all([1, 2, 3])).toEqual([10, 20, 30]);
    expect(batches).toHaveLength(1);
    wait(60_001);
    expect(await all([1, 2, 3])).toEqual([10, 20, 30]);
    expect(batches).toHaveLength(2);
  });

  it('are sent once more when nothing was answered, after which no refusal proves anything', async () => {
    const { all, harmless, batches } = stage((items, batch) => {
      if (batch === 1) throw away();
      return { answers: items.map(() => problem(402, 'insufficient_credits')) };
    });
    expect(await all([1, 2, 3])).toEqual([10, 'INSUFFICIENT_CREDITS', 'INSUFFICIENT_CREDITS']);
    expect([batches, harmless]).toEqual([
      [
        [2, 3],
        [2, 3],
      ],
      [],
    ]);
  });

  it('are away together when it stays like that', async () => {
    const { all, single } = stage(() => {
      throw away();
    });
    expect(await all([1, 2, 3])).toEqual([10, AWAY, AWAY]);
    expect(single).toEqual([1]);
  });

  it('are made under the id of the request that each belongs to, whoever sends them', async () => {
    const ids: unknown[] = [];
    const calls = createBatchedCalls<number, number>({
      operation: accounting.holdCredits,
      send: async (items) => {
        ids.push(requestContext.get()?.requestId);
        return { answers: items.map(() => ({ status: 202 })) };
      },
      timeoutMs: 60_000,
      clock: { now: () => 0 },
      onUnavailable: AWAY,
      hadNoEffect: () => undefined,
    });
    const alone = async () => ids.push(requestContext.get()?.requestId);
    const names = ['first-00', 'second-0', 'third-00'];
    const callUnder = (requestId: string) =>
      requestContext.run({ requestId }, () => calls({ item: 1, call: {}, alone }));
    await callUnder('first-00');
    await Promise.all(names.slice(1).map(callUnder));
    expect(ids[0]).toBe('first-00');
    expect(names).not.toContain(ids[1]);
    expect(ids.slice(2)).toEqual(['second-0', 'third-00']);
  });
});
