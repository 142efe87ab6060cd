import { afterEach, describe, expect, it } from '@jest/globals';
import { mongoDatabaseUrl } from '@tollgate/test-kit';
import { type Mongo, openMongo, troubleOf } from '../src/index.ts';

let mongo: Mongo;
afterEach(() => mongo.close());

const refusalOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no refusal',
    (error: unknown) => error,
  );

describe('a store of bounded operations', () => {
  it('gives up each of its functions after the time of an operation, and passes on what the others answer', async () => {
    mongo = openMongo({ url: mongoDatabaseUrl(), defaultDatabase: 'unused', operationTimeoutMs: 50 });
    const store = mongo.bounded({
      slow: () => new Promise<never>(() => undefined),
      quick: async (text: string) => text,
      wrong: async () => Promise.reject(new RangeError('mine')),
      limit: 5,
    });
    expect(troubleOf(await refusalOf(store.slow()))).toBe('unavailable');
    await expect(store.wrong()).rejects.toThrow(new RangeError('mine'));
    expect([await store.quick('a'), store.limit]).toEqual(['a', 5]);
  });
});
