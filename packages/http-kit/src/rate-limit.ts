import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterMongo,
  RateLimiterPostgres,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import { AppError } from './app-error.ts';

export interface RateLimitOptions {
  /** Names the policy in the RateLimit-Policy header and prefixes the stored keys. */
  readonly name: string;
  /** Units per window. */
  readonly points: number;
  readonly windowSeconds: number;
  /**
   * Where the counts live. `mongo`: a MongoClient whose collection has a unique index on `key` and a TTL index on `expire`;
   * `postgres`: a pg Pool whose table exists.
   * Absent: this process only. A store that fails is replaced by this process's own count, never by no limit.
   */
  readonly store?:
    | { readonly kind: 'mongo'; readonly client: unknown; readonly dbName?: string; readonly collection: string }
    | { readonly kind: 'postgres'; readonly client: unknown; readonly table: string };
}

export interface RateLimiter {
  /**
   * Spends `points` units of the key's window. Returns RateLimit headers (IETF httpapi ratelimit-headers draft);
   * throws RATE_LIMITED with Retry-After when the window is spent.
   */
  consume(key: string, points?: number): Promise<Record<string, string>>;
  /** Spends nothing; throws RATE_LIMITED when nothing is left. */
  check(key: string): Promise<void>;
  /** Takes back one unit that was spent. */
  giveBack(key: string): Promise<void>;
  /** Forgets what the key has spent. */
  reset(key: string): Promise<void>;
}

/** What is left of one limit, for the headers of an answer. */
export interface QuotaState {
  /** Names the policy. */
  readonly name: string;
  readonly most: number;
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Milliseconds until the window ends. */
  readonly msLeft: number;
}

/** RateLimit headers (IETF httpapi ratelimit-headers draft); nothing when no limit applies. */
export function quotaHeaders(quotas: readonly QuotaState[]): Record<string, string> {
  if (quotas.length === 0) return {};
  return {
    'ratelimit-policy': quotas
      .map(({ name, most, windowSeconds }) => `"${name}";q=${most};w=${windowSeconds}`)
      .join(', '),
    ratelimit: quotas
      .map(({ name, remaining, msLeft }) => `"${name}";r=${Math.max(0, remaining)};t=${Math.ceil(msLeft / 1000)}`)
      .join(', '),
  };
}

/** RATE_LIMITED, with when to come back and which limit it was. */
export const quotaExceeded = (quota: QuotaState): AppError =>
  new AppError('RATE_LIMITED', undefined, {
    headers: { ...quotaHeaders([quota]), 'retry-after': String(Math.max(1, Math.ceil(quota.msLeft / 1000))) },
    // The problem type of the same draft, section "Problem Types".
    extra: { type: QUOTA_EXCEEDED, 'violated-policies': [quota.name] },
  });

const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded';

export function createRateLimiter(options: RateLimitOptions): RateLimiter {
  const limiter = limiterOf(options);
  const { name, points: most, windowSeconds } = options;
  const quotaOf = ({ remainingPoints: remaining, msBeforeNext: msLeft }: RateLimiterRes): QuotaState => ({
    name,
    most,
    windowSeconds,
    remaining,
    msLeft,
  });
  return {
    async consume(key, points = 1) {
      try {
        return quotaHeaders([quotaOf(await limiter.consume(key, points))]);
      } catch (refusal) {
        throw refusal instanceof RateLimiterRes ? quotaExceeded(quotaOf(refusal)) : refusal;
      }
    },
    async check(key) {
      const state = await limiter.get(key);
      if (state && state.remainingPoints <= 0) throw quotaExceeded(quotaOf(state));
    },
    async giveBack(key) {
      await limiter.reward(key);
    },
    async reset(key) {
      await limiter.delete(key);
    },
  };
}

function limiterOf({ name, points, windowSeconds, store }: RateLimitOptions): RateLimiterAbstract {
  const own = { keyPrefix: name, points, duration: windowSeconds };
  const insuranceLimiter = new RateLimiterMemory(own);
  if (store?.kind === 'mongo') {
    return new RateLimiterMongo({
      ...own,
      insuranceLimiter,
      storeClient: store.client,
      tableName: store.collection,
      // Migrations own the indexes; the library would print its failure to make them to the console.
      disableIndexesCreation: true,
      ...(store.dbName !== undefined && { dbName: store.dbName }),
    });
  }
  if (store?.kind === 'postgres') {
    return new RateLimiterPostgres({
      ...own,
      insuranceLimiter,
      storeClient: store.client,
      storeType: 'pool',
      tableName: store.table,
      tableCreated: true,
    });
  }
  return insuranceLimiter;
}
