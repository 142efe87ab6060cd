import { createHash } from 'node:crypto';
import { AppError, createRateLimiter, type RateLimiter } from '@tollgate/http-kit';
import type { Mongo } from '@tollgate/mongo-kit';
import type { LimitName, LimitRules, Limits } from '../ports.ts';

/** How many guesses for one key may wait for their turn. */
const LONGEST_LINE = 100;
const LIMITS_COLLECTION = 'rate_limits';

/** Rate limits counted in MongoDB, so that they hold across instances. Keys are hashed: they are names and addresses. */
export function createLimits(mongo: Mongo, rules: LimitRules): Limits {
  const limiters = new Map<LimitName, RateLimiter>();
  const inLine = createLines();

  function limiter(name: LimitName): RateLimiter {
    const known = limiters.get(name);
    if (known) return known;
    const db = mongo.db();
    const store = {
      kind: 'mongo',
      client: mongo.connection.getClient(),
      dbName: db.databaseName,
      collection: LIMITS_COLLECTION,
    } as const;
    const created = createRateLimiter({ name, ...rules[name], store });
    limiters.set(name, created);
    return created;
  }

  const spend = async (name: LimitName, key: string): Promise<void> =>
    void (await mongo.run(() => limiter(name).consume(hashed(key))));

  return {
    spend,
    check: (name, key) => mongo.run(() => limiter(name).check(hashed(key))),
    async tryOut(name, key, guess) {
      // Spent before the guess, as below, and given back when it was none or a right one.
      await spend(name, key);
      let isWrong = false;
      try {
        const found = await guess();
        isWrong = found === undefined;
        return found;
      } finally {
        if (!isWrong) await mongo.run(() => limiter(name).giveBack(hashed(key)));
      }
    },
    guess: (name, key, guess) =>
      inLine(`${name}:${key}`, async () => {
        // Spent before the guess, so that guesses at several instances cannot outrun the count either.
        await spend(name, key);
        const found = await guess();
        if (found !== undefined) await mongo.run(() => limiter(name).reset(hashed(key)));
        return found;
      }),
  };
}

const hashed = (key: string): string => createHash('sha256').update(key).digest('base64url');

/** Runs tasks of one key one after the other, tasks of different keys side by side. */
function createLines() {
  const lines = new Map<string, { last: Promise<unknown>; length: number }>();
  return async function inLine<T>(key: string, task: () => Promise<T>): Promise<T> {
    const line = lines.get(key) ?? { last: Promise.resolve(), length: 0 };
    if (line.length >= LONGEST_LINE) throw new AppError('RATE_LIMITED', undefined, { headers: { 'retry-after': '1' } });
    lines.set(key, line);
    line.length += 1;
    const turn = line.last.then(task);
    line.last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      line.length -= 1;
      if (line.length === 0) lines.delete(key);
    }
  };
}
