import {
  alias,
  baseUrl,
  bool,
  databaseUrl,
  distinctKeys,
  duration,
  durationMs,
  failpointVariables,
  type Environment,
  keyCacheVariables,
  keyRing,
  port,
  portVariable,
  readConfig,
  refusesTestHooks,
  Secret,
  secret,
  serviceTokenVariables,
  serviceVariables,
  tracingConfig,
  verifiesOneAlgorithm,
  verifyingVariables,
  webhookKeyBytes,
  whole,
  workspaceVariables,
} from '@tollgate/config';
import { MAX_AMOUNT } from '@tollgate/contracts';
import { readPublicKeys } from '@tollgate/jwt-claims';
import { z } from 'zod';
import { outboxConfig, outboxVariables } from './outbox-config.ts';
import { hasSecret, paymentConfig, paymentVariables } from './payments-config.ts';

const MILLISECONDS = 1000;
const SECONDS_PER_DAY = 86_400;
const PRODUCTION_WEBHOOK_KEY_BYTES = 32;
const DEFAULT_POSTGRES_PORT = '5432';

/** Every variable of the accounting service. */
export const AccountingEnvironment = z
  .object({
    ...serviceVariables,
    ...portVariable(3001),
    ...serviceTokenVariables,
    ...verifyingVariables(readPublicKeys),
    AUTH_API_URL: alias(baseUrl(), ['EXTERNAL_AUTH_URL']).optional().describe('The auth service'),
    ...keyCacheVariables,
    ...workspaceVariables,
    ...failpointVariables,
    MEMBERSHIPS_POLL: durationMs({ min: '50ms', max: '1m' })
      .prefault('2s')
      .describe('How often auth is asked who belongs to which workspace'),
    REVOCATIONS_POLL: durationMs({ min: '50ms', max: '3s' })
      .prefault('1s')
      .describe('How often auth is asked which access tokens were revoked'),

    DATABASE_URL: databaseUrl(['postgres:', 'postgresql:'])
      .optional()
      .describe('The PostgreSQL database of this service, with the role that serves requests'),
    DATABASE_OWNER_URL: databaseUrl(['postgres:', 'postgresql:'])
      .optional()
      .describe('The same database with the role that owns its schema and migrates it; DATABASE_URL when absent'),
    DB_HOST: z.string().min(1).max(255).optional().describe('Instead of DATABASE_URL: its host'),
    DB_PORT: port().prefault(DEFAULT_POSTGRES_PORT).describe('Its port'),
    DB_NAME: z.string().min(1).max(63).optional().describe('Its name'),
    DB_USER: z.string().min(1).max(63).optional().describe('The user to connect as'),
    DB_PASSWORD: secret({ minBytes: 1 }).optional().describe('The password of that user'),
    DB_OWNER_USER: z.string().min(1).max(63).optional().describe('The user that migrates; DB_USER when absent'),
    DB_OWNER_PASSWORD: secret({ minBytes: 1 }).optional().describe('The password of that user'),
    DB_POOL_SIZE: whole({ min: 2, max: 100 })
      .prefault('8')
      .describe('Connections for money; few are best on a busy account'),
    DB_REPORT_POOL_SIZE: whole({ min: 1, max: 100 }).prefault('3').describe('Connections for lists and reports'),
    DB_ACQUIRE_TIMEOUT: durationMs({ min: '10ms', max: '30s' })
      .prefault('1s')
      .describe('Longest wait for a free connection'),
    DB_POOLING: z
      .enum(['session', 'transaction'])
      .prefault('session')
      .describe('transaction: a pooler such as PgBouncer stands between and gives each transaction another connection'),

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
    IDEMPOTENCY_RETENTION: duration({ min: '24h', max: '90d' })
      .prefault('3d')
      .describe('How long answers are kept for repeated keys'),

    ...outboxVariables,
    LEDGER_SIGNING_SECRET: keyRing()
      .optional()
      .describe(
        'Keys that the heads of the ledger are signed with, the current one first; keep the old ones; required in production',
      ),
    LEDGER_HEAD_INTERVAL: durationMs({ min: '1s', max: '1h' })
      .prefault('1m')
      .describe('How often the accounts that have changed are signed'),
    LEDGER_HEAD_FILE: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('File that every signed head is added to, as a line of JSON'),
    RECONCILE_INTERVAL: durationMs({ min: '1s', max: '1d' })
      .prefault('5m')
      .describe('How often balances, lots, holds and entries are compared'),
    RECONCILE_FULL_INTERVAL: durationMs({ min: '1m', max: '30d' })
      .prefault('1d')
      .describe('How often a long ledger is compared from its beginning'),
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
  .superRefine(verifiesOneAlgorithm)
  .superRefine(refusesTestHooks)
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
  .refine((env) => env.WEBHOOK_URLS.length === 0 || env.WEBHOOK_SECRET !== undefined, {
    path: ['WEBHOOK_SECRET'],
    error: 'is required when there are WEBHOOK_URLS',
  })
  .refine(
    (env) =>
      env.NODE_ENV !== 'production' ||
      (env.WEBHOOK_SECRET ?? []).every((key) => webhookKeyBytes(key) >= PRODUCTION_WEBHOOK_KEY_BYTES),
    { path: ['WEBHOOK_SECRET'], error: `must hold at least ${PRODUCTION_WEBHOOK_KEY_BYTES} bytes in production` },
  )
  .refine((env) => env.NODE_ENV !== 'production' || env.WEBHOOK_URLS.every((url) => url.startsWith('https:')), {
    path: ['WEBHOOK_URLS'],
    error: 'must be https addresses in production',
  })
  .refine((env) => env.NODE_ENV !== 'production' || !env.WEBHOOK_ALLOW_PRIVATE, {
    path: ['WEBHOOK_ALLOW_PRIVATE'],
    error: 'is refused in production: a webhook must not reach into the private network',
  })
  .refine((env) => env.OUTBOX_LEASE * MILLISECONDS > env.WEBHOOK_TIMEOUT, {
    path: ['OUTBOX_LEASE'],
    error: 'must be longer than WEBHOOK_TIMEOUT',
  })
  .refine((env) => env.NODE_ENV !== 'production' || env.OUTBOX_GIVE_UP >= SECONDS_PER_DAY, {
    path: ['OUTBOX_GIVE_UP'],
    error: 'must be at least 24h in production',
  })
  .refine((env) => env.SMTP_URL !== undefined || env.ALERT_MAIL_TO.length === 0, {
    path: ['SMTP_URL'],
    error: 'is required for ALERT_MAIL_TO',
  })
  .refine(
    (env) => env.NODE_ENV !== 'production' || env.SMTP_URL === undefined || !env.MAIL_FROM.includes('@localhost'),
    { path: ['MAIL_FROM'], error: 'must be an address of yours in production' },
  )
  .refine((env) => env.NODE_ENV !== 'production' || env.AUTH_API_URL !== undefined, {
    path: ['AUTH_API_URL'],
    error: 'is required in production',
  })
  .refine((env) => env.NODE_ENV !== 'production' || env.LEDGER_SIGNING_SECRET !== undefined, {
    path: ['LEDGER_SIGNING_SECRET'],
    error: 'is required in production',
  })
  .superRefine(distinctKeys(['JWT_ACCESS_SECRET', 'JWT_SERVICE_SECRET', 'LEDGER_SIGNING_SECRET']));

export type Config = ReturnType<typeof readAccountingConfig>;

/**
 * The configuration of the accounting service out of the environment.
 * @throws ConfigError with every fault.
 */
export function readAccountingConfig(env: Environment = process.env) {
  const read = readConfig(AccountingEnvironment, env);
  const addresses = databaseAddresses(read);
  return {
    isProduction: read.NODE_ENV === 'production',
    listen: { host: read.HOST, port: read.PORT },
    logLevel: read.LOG_LEVEL,
    clockOffsetFile: read.CLOCK_OFFSET_FILE,
    failpoints: read.FAILPOINTS,
    database: {
      ...addresses,
      poolSize: read.DB_POOL_SIZE,
      reportPoolSize: read.DB_REPORT_POOL_SIZE,
      acquireMs: read.DB_ACQUIRE_TIMEOUT,
      isPooled: read.DB_POOLING === 'transaction',
    },
    migrateOnStart: read.MIGRATE_ON_START,
    auth: {
      url: read.AUTH_API_URL,
      revocationsPollMs: read.REVOCATIONS_POLL,
      keyCacheMs: read.KEY_CACHE,
      membershipsPollMs: read.MEMBERSHIPS_POLL,
    },
    tokens: {
      access: {
        secrets: read.JWT_ACCESS_SECRET,
        publicKeys: read.JWT_PUBLIC_KEYS,
        jwksUrl: read.JWT_JWKS_URL,
      },
      serviceKeys: read.JWT_SERVICE_SECRET,
      issuer: read.JWT_ISSUER,
      profile: read.JWT_CLAIMS_PROFILE,
    },
    rules: {
      leaseSeconds: read.HOLD_LEASE,
      sessionLeaseSeconds: read.STREAMING_SESSION_LEASE,
      overrunPolicy: read.OVERRUN_POLICY,
      defaultWorkspaceId: read.DEFAULT_WORKSPACE_ID,
      supervisorCap: read.SUPERVISOR_ALLOCATION_CAP,
      allocateOpensAccounts: read.ALLOCATE_OPENS_ACCOUNTS,
      keyRetentionSeconds: read.IDEMPOTENCY_RETENTION,
    },
    sweep: {
      intervalMs: read.SWEEP_INTERVAL,
      startDelayMs: read.SWEEP_START_DELAY ?? read.HOLD_LEASE * MILLISECONDS,
      leaseMs: read.HOLD_LEASE * MILLISECONDS,
    },
    ...outboxConfig(read),
    ledger: {
      signingKeys: read.LEDGER_SIGNING_SECRET,
      headFile: read.LEDGER_HEAD_FILE,
      headMs: read.LEDGER_HEAD_INTERVAL,
      reconcileMs: read.RECONCILE_INTERVAL,
      reconcileFullMs: read.RECONCILE_FULL_INTERVAL,
    },
    payments: paymentConfig(read),
    priceMaxAgeMs: read.PRICE_MAX_AGE,
    allowedOrigins: read.ALLOWED_ORIGINS,
    trustProxyHops: read.TRUST_PROXY_HOPS,
    metricsTokens: read.METRICS_TOKEN,
    shutdown: { acceptMs: read.SHUTDOWN_ACCEPT, drainMs: read.SHUTDOWN_DRAIN, closeMs: read.SHUTDOWN_CLOSE },
    tracing: tracingConfig(read),
    callsPerMinute: read.RATE_LIMITS ? read.RATE_LIMIT_PER_USER : undefined,
    voucherTriesPerHour: read.RATE_LIMITS ? read.VOUCHER_TRIES_PER_HOUR : undefined,
  };
}

type Read = z.infer<typeof AccountingEnvironment>;

/** Where the service connects, where migrations do, and the role that they let the service in as. */
function databaseAddresses(read: Read) {
  const url = read.DATABASE_URL ?? addressOf(read, read.DB_USER, read.DB_PASSWORD);
  const ownerUrl =
    read.DATABASE_OWNER_URL ??
    (read.DB_OWNER_USER === undefined ? url : addressOf(read, read.DB_OWNER_USER, read.DB_OWNER_PASSWORD));
  const role = decodeURIComponent(URL.parse(url.reveal())?.username ?? '');
  return { url, ownerUrl, serviceRole: role === '' ? undefined : role };
}

function addressOf({ DB_HOST, DB_PORT, DB_NAME }: Read, user?: string, password?: Secret): Secret {
  const url = new URL(`postgres://${DB_HOST}:${DB_PORT}/${encodeURIComponent(DB_NAME ?? '')}`);
  url.username = encodeURIComponent(user ?? '');
  url.password = encodeURIComponent(password?.reveal() ?? '');
  return new Secret(url.href);
}
