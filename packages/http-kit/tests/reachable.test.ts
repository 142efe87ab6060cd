import { describe, expect, it } from '@jest/globals';
import { AppError, migrateOnceReachable, packageVersion, reachable, type TroubleOf } from '../src/index.ts';
import { memoryLogger } from './kit.ts';

const away = new Error('away');
const full = new Error('full');
const troubleOf: TroubleOf = (error) => (error === away ? 'unavailable' : error === full ? 'full' : undefined);

describe('A store whose database may go away', () => {
  const store = reachable(
    {
      limit: 5,
      double: async (count: number) => count * 2,
      fail: async (error: unknown) => {
        throw error;
      },
    },
    troubleOf,
  );

  it('answers as before while it is there', async () => {
    expect([store.limit, await store.double(4)]).toEqual([5, 8]);
  });

  it.each([
    [away, 'DEPENDENCY_UNAVAILABLE'],
    [full, 'STORAGE_FULL'],
  ])('is a 503 that says when to come back: %s', async (error, code) => {
    await expect(store.fail(error)).rejects.toMatchObject({
      code,
      status: 503,
      headers: { 'retry-after': '2' },
      cause: error,
    });
  });

  it.each([new TypeError('a mistake'), new AppError('NOT_FOUND')])(
    'leaves every other error as it is: %s',
    async (error) => {
      await expect(store.fail(error)).rejects.toBe(error);
    },
  );
});

describe('A migration at the start of a service', () => {
  it('is told when it is done', async () => {
    const logger = memoryLogger();
    await migrateOnceReachable(async () => ['0001'], { troubleOf, logger });
    expect(logger.lines).toMatchObject([{ level: 'info', fields: { steps: ['0001'] } }]);
  });

  it('is tried again while the database is away, and at no other fault', async () => {
    const logger = memoryLogger();
    const faults = [away, new Error('the database is newer')];
    const migrate = () => Promise.reject(faults.shift());
    await expect(migrateOnceReachable(migrate, { troubleOf, logger })).rejects.toThrow('newer');
    expect(logger.lines).toMatchObject([{ level: 'error', fields: { error: away } }]);
  });
});

describe('The version of a package', () => {
  it('is the one of the package.json above its sources', async () => {
    const module = new URL('../src/index.ts', import.meta.url).href;
    expect(await packageVersion(module)).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
