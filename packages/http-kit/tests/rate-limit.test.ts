import { describe, expect, it } from '@jest/globals';
import { type AppError, createRateLimiter, type RateLimitOptions } from '../src/index.ts';

const limits = { name: 'logins', points: 3, windowSeconds: 60 };
const outcomes = async (limiter: ReturnType<typeof createRateLimiter>, key: string, times: number) =>
  (await Promise.allSettled(Array.from({ length: times }, () => limiter.consume(key)))).map(({ status }) => status);
const refused = (error: unknown) => error as AppError;

describe('A limit', () => {
  it('lets exactly its points through, also at once, and keeps keys apart', async () => {
    const limiter = createRateLimiter(limits);
    expect((await outcomes(limiter, 'alice', 10)).filter((status) => status === 'fulfilled')).toHaveLength(3);
    expect(await outcomes(limiter, 'bob', 3)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  });

  it('tells what is left and, when nothing is, when to come back', async () => {
    const limiter = createRateLimiter(limits);
    await expect(limiter.consume('alice', 2)).resolves.toEqual({
      'ratelimit-policy': '"logins";q=3;w=60',
      ratelimit: '"logins";r=1;t=60',
    });
    await limiter.consume('alice');
    const refusal = await limiter.consume('alice').catch(refused);
    expect(refusal).toMatchObject({ code: 'RATE_LIMITED', status: 429, extra: { 'violated-policies': ['logins'] } });
    const { headers } = refusal as AppError;
    expect(headers).toMatchObject({
      'ratelimit-policy': '"logins";q=3;w=60',
      ratelimit: expect.stringMatching(/^"logins";r=0;t=\d+$/),
    });
    expect(Number(headers['retry-after'])).toBeGreaterThan(50);
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60);
  });

  it('forgets a key on request', async () => {
    const limiter = createRateLimiter(limits);
    await outcomes(limiter, 'alice', 5);
    await limiter.reset('alice');
    expect(await outcomes(limiter, 'alice', 1)).toEqual(['fulfilled']);
  });

  const down = { query: () => Promise.reject(new Error('connection refused')) };
  const collection = new Proxy({}, { get: () => () => Promise.reject(new Error('connection refused')) });
  it.each<[string, NonNullable<RateLimitOptions['store']>]>([
    ['PostgreSQL', { kind: 'postgres', client: down, table: 'rate_limits' }],
    [
      'MongoDB',
      {
        kind: 'mongo',
        client: { db: () => ({ collection: () => collection }) },
        dbName: 'test',
        collection: 'rate_limits',
      },
    ],
  ])('whose %s is gone counts by itself instead of letting everybody through', async (_name, store) => {
    const limiter = createRateLimiter({ ...limits, store });
    expect(await outcomes(limiter, 'alice', 5)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    await expect(limiter.consume('alice')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(await outcomes(limiter, 'bob', 1)).toEqual(['fulfilled']);
  });
});
