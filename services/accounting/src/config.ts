import {
  bool,
  databaseUrl,
  duration,
  durationMs,
  type Environment,
  port,
  portVariable,
  readConfig,
  Secret,
  secret,
  serviceTokenVariables,
  serviceVariables,
  whole,
} from '@tollgate/config';
import { MAX_AMOUNT } from '@tollgate/contracts';
import { z } from 'zod';
import { hasSecret, paymentConfig, paymentVariables } from './payments-config.ts';

const MILLISECONDS = 1000;
const DEFAULT_POSTGRES_PORT = '5432';

/** Every variable of the accounting service. */
export const AccountingEnvironment = z
  .object({
    ...serviceVariables,
    ...portVariable(3001),
    ...serviceTokenVariables,

    DATABASE_URL: databaseUrl(['postgres:', 'postgresql:'])
      .optional()
      .describe('The PostgreSQL database of this service'),
    DB_HOST: z.string().min(1).max(255).optional().describe('Instead of DATABASE_URL: its host'),
    DB_PORT: port().prefault(DEFAULT_POSTGRES_PORT).describe('Its port'),
    DB_NAME: z.string().min(1).max(63).optional().describe('Its name'),
    DB_USER: z.string().min(1).max(63).optional().describe('The user to connect as'),
    DB_PASSWORD: secret({ minBytes: 1 }).optional().describe('The password of that user'),
    DB_POOL_SIZE: whole({ min: 2, max: 100 })
      .prefault('8')
      .describe('Connections for money; few are best on a busy account'),
    DB_REPORT_POOL_SIZE: whole({ min: 1, max: 100 }).prefault('3').describe('Connections for lists and reports'),
    DB_ACQUIRE_TIMEOUT: durationMs({ min: '10ms', max: '30s' })
      .prefault('1s')
      .describe('Longest wait for a free connection'),

    HOLD_LEASE: duration({ min: '1s', max: '1h' })
      .prefault('60s')
      .describe('A hold that is not renewed for so long is closed'),
    STREAMING_SESSION_LEASE: duration({ min: '1s', max: '1d' })
      .prefault('15m')
      .describe('The same for sessions that users open themselves'),
    SWEEP_INTERVAL: durationMs({ min: '50ms', max: '10m' })
      .prefault('15s')
      .describe('How often ended leases and lapsed lots are booked'),
    SWEEP_START_DELAY: durationMs({ max: '1h' })
      .optional()
      .describe('Wait before the first sweep; HOLD_LEASE when absent'),
    OVERRUN_POLICY: z
      .enum(['absorb', 'debt'])
      .prefault('absorb')
      .describe('Who pays what a balance does not cover at settlement'),
    PRICE_MAX_AGE: durationMs({ max: '5m' })
      .prefault('2s')
      .describe('A new price holds on all instances after so long'),
    SUPERVISOR_ALLOCATION_CAP: whole({ max: MAX_AMOUNT })
      .prefault('10000')
      .describe('Most credits a supervisor moves in one call'),
    ALLOCATE_OPENS_ACCOUNTS: bool()
      .prefault('false')
      .describe('Whether allocating to an unknown user id opens the account'),
    IDEMPOTENCY_RETENTION: duration({ min: '24h' })
      .prefault('3d')
      .describe('How long answers are kept for repeated keys'),

    ...paymentVariables,

    RATE_LIMITS: bool().prefault('true').describe('Whether limits apply; required in production'),
    RATE_LIMIT_PER_USER: whole({ min: 1, max: 1_000_000 })
      .prefault('600')
      .describe('Calls a user may make in a minute'),
  })
  .refine(
    (env) =>
      env.DATABASE_URL !== undefined ||
      (env.DB_HOST !== undefined && env.DB_NAME !== undefined && env.DB_USER !== undefined),
    { path: ['DATABASE_URL'], error: 'is required, or DB_HOST, DB_NAME and DB_USER' },
  )
  .refine((env) => hasSecret(env, 'stripe'), {
    path: ['STRIPE_WEBHOOK_SECRET'],
    error: 'is required, because PAYMENT_PROVIDERS names stripe',
  })
  .refine((env) => hasSecret(env, 'standard'), {
    path: ['STANDARD_WEBHOOK_SECRET'],
    error: 'is required, with 24 bytes or more in base64, because PAYMENT_PROVIDERS names standard',
  })
  .refine((env) => env.TOPUP_MIN_CREDITS <= env.TOPUP_MAX_CREDITS, {
    path: ['TOPUP_MAX_CREDITS'],
    error: 'must not be less than TOPUP_MIN_CREDITS',
  })
  .refine((env) => env.NODE_ENV !== 'production' || env.RATE_LIMITS, {
    path: ['RATE_LIMITS'],
    error: 'cannot be switched off in production',
  })
  .refine(
    (env) => env.JWT_ACCESS_SECRET.every((a) => env.JWT_SERVICE_SECRET.every((b) => !a.secret.equals(b.secret))),
    { path: ['JWT_SERVICE_SECRET'], error: 'must differ from JWT_ACCESS_SECRET' },
  );

export type Config = ReturnType<typeof readAccountingConfig>;

/**
 * The configuration of the accounting service out of the environment.
 * @throws ConfigError with every fault.
 */
export function readAccountingConfig(env: Environment = process.env) {
  const read = readConfig(AccountingEnvironment, env);
  return {
    isProduction: read.NODE_ENV === 'production',
    listen: { host: read.HOST, port: read.PORT },
    logLevel: read.LOG_LEVEL,
    database: {
      url: read.DATABASE_URL ?? addressOf(read),
      poolSize: read.DB_POOL_SIZE,
      reportPoolSize: read.DB_REPORT_POOL_SIZE,
      acquireMs: read.DB_ACQUIRE_TIMEOUT,
    },
    migrateOnStart: read.MIGRATE_ON_START,
    tokens: {
      accessKeys: read.JWT_ACCESS_SECRET,
      serviceKeys: read.JWT_SERVICE_SECRET,
      issuer: read.JWT_ISSUER,
      profile: read.JWT_CLAIMS_PROFILE,
    },
    rules: {
      leaseSeconds: read.HOLD_LEASE,
      sessionLeaseSeconds: read.STREAMING_SESSION_LEASE,
      overrunPolicy: read.OVERRUN_POLICY,
      supervisorCap: read.SUPERVISOR_ALLOCATION_CAP,
      allocateOpensAccounts: read.ALLOCATE_OPENS_ACCOUNTS,
      keyRetentionSeconds: read.IDEMPOTENCY_RETENTION,
    },
    sweep: {
      intervalMs: read.SWEEP_INTERVAL,
      startDelayMs: read.SWEEP_START_DELAY ?? read.HOLD_LEASE * MILLISECONDS,
      leaseMs: read.HOLD_LEASE * MILLISECONDS,
    },
    payments: paymentConfig(read),
    priceMaxAgeMs: read.PRICE_MAX_AGE,
    allowedOrigins: read.ALLOWED_ORIGINS,
    trustProxyHops: read.TRUST_PROXY_HOPS,
    metricsToken: read.METRICS_TOKEN,
    shutdown: { acceptMs: read.SHUTDOWN_ACCEPT, drainMs: read.SHUTDOWN_DRAIN },
    callsPerMinute: read.RATE_LIMITS ? read.RATE_LIMIT_PER_USER : undefined,
    voucherTriesPerHour: read.RATE_LIMITS ? read.VOUCHER_TRIES_PER_HOUR : undefined,
  };
}

type AddressParts = Pick<
  z.infer<typeof AccountingEnvironment>,
  'DB_HOST' | 'DB_PORT' | 'DB_NAME' | 'DB_USER' | 'DB_PASSWORD'
>;

function addressOf({ DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD }: AddressParts): Secret {
  const url = new URL(`postgres://${DB_HOST}:${DB_PORT}/${encodeURIComponent(DB_NAME ?? '')}`);
  url.username = encodeURIComponent(DB_USER ?? '');
  url.password = encodeURIComponent(DB_PASSWORD?.reveal() ?? '');
  return new Secret(url.href);
}
