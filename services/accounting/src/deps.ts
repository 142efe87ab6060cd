import { randomBytes } from 'node:crypto';
import {
  type AuditReports,
  type Check,
  type Closers,
  createClosers,
  createRateLimiter,
  createServiceClock,
  migrateOnceReachable,
  NEVER,
  openAccessKeys,
  packageVersion,
  type RateLimiter,
  reachable,
  requestContext,
  type VerifyKey,
} from '@tollgate/http-kit';
import { type Clock, createServiceVerifier, type ServiceVerifier, type Verifier } from '@tollgate/jwt-claims';
import {
  createHeartbeats,
  createLogger,
  createMetrics,
  type Logger,
  type Metrics,
  openTracing,
  type Tracing,
} from '@tollgate/telemetry';
import { createAuditPorts } from './audit-deps.ts';
import type { Config } from './config.ts';
import { createLedgerEvents } from './events.ts';
import { tamperedHolds } from './failpoints-deps.ts';
import { createFlows, type Flows } from './flows.ts';
import { openChannels } from './outbox-deps.ts';
import { membershipRounds } from './memberships-deps.ts';
import { watchInside } from './metrics-deps.ts';
import { migrate } from './migrate.ts';
import type { PaymentPorts, Ports } from './ports.ts';
import { createAuditReporting, withReports } from './report-deps.ts';
import { createAdmission } from './revocation-deps.ts';
import { scheduledRounds } from './rounds-deps.ts';
import { createAccounts } from './store/accounts.ts';
import { createAnnouncements } from './store/audit/announcements.ts';
import { excessivePrivileges } from './store/audit/privileges.ts';
import { createBlocks } from './store/limits/blocks.ts';
import { createChores } from './store/chores.ts';
import { createExplanations } from './store/explanations.ts';
import { createHolds } from './store/holds.ts';
import { createKeyLimits } from './store/limits/key-limits.ts';
import { createLimits } from './store/limits/limits.ts';
import { createMembers } from './store/members.ts';
import { hasNewestSchema } from './store/migrate.ts';
import { openModels } from './store/models.ts';
import { createOutbox } from './store/outbox.ts';
import { createPayments } from './store/payments/payments.ts';
import { createVoucherList } from './store/payments/vouchers.ts';
import { openPostgres, type Postgres, troubleOf } from './store/postgres.ts';
import { createPrices } from './store/prices.ts';
import { createReports } from './store/reports.ts';
import { createTenants } from './store/tenants.ts';
import { tracedPostgres } from './tracing-deps.ts';
import { createTransaction } from './store/unit-of-work.ts';
import { createWorkspaces } from './store/workspaces.ts';

export type Overrides = Readonly<{ clock?: Clock; logger?: Logger }>;
export type Deps = Readonly<{
  config: Config;
  version: string;
  logger: Logger;
  metrics: Metrics;
  /** Absent where nothing is traced. */
  tracer: Tracing['tracer'];
  verifyAccess: Verifier['verifyAccess'];
  verifyService: ServiceVerifier['verifyService'];
  verifyKey: VerifyKey | undefined;
  /** What readiness asks for. */
  checks: Readonly<Record<string, Check>>;
  callsPerUser: RateLimiter | undefined;
  flows: Flows;
  /** Told of refusals, which go to the audit log. */
  refused: AuditReports['refused'] | undefined;
  /** Where events are delivered, each in rounds of its own. */
  channels: Ports['channels'];
  /** Migrates when that is wanted and begins the rounds; requests are answered before, with 503 when the database is away. */
  start(stopping?: AbortSignal): Promise<void>;
  close(deadlineMs?: number): Promise<void>;
}>;

/** Builds the service in order; nothing of it waits for the database. */
export async function createDeps(config: Config, overrides: Overrides = {}): Promise<Deps> {
  const logger =
    overrides.logger ?? createLogger({ service: 'accounting', level: config.logLevel, context: requestContext.fields });
  const clock = overrides.clock ?? createServiceClock(config.clockOffsetFile);
  const metrics = createMetrics({ service: 'accounting' });
  const closers = createClosers(logger);
  const version = await packageVersion(import.meta.url);
  const { tracer } = closers.add('traces', await openTracing({ service: 'accounting', version, ...config.tracing }));
  const reports = createAuditReporting(config, { closers, logger, metrics, clock });
  const { postgres, ports } = openStore(config, { closers, logger, metrics, reports, clock });
  const flows = createFlows(ports);
  const rounds = scheduledRounds(config, { flows, ports, logger, beat: createHeartbeats(metrics) });
  closers.addClose('rounds', () => Promise.all(rounds.map((round) => round.close())));
  const access = openAccessKeys(config.tokens.access, logger, clock);
  const { verifyAccess, revocations, keys } = createAdmission(config, { keys: access.keys, logger, metrics, clock });
  if (revocations) closers.add('revocations', revocations);
  if (keys) closers.add('keys', keys);
  const memberships = membershipRounds(config, { members: ports.members, logger, metrics, clock });
  if (memberships) closers.add('memberships', memberships);
  return {
    config,
    logger,
    metrics,
    flows,
    refused: reports?.refused,
    channels: ports.channels,
    version,
    tracer,
    verifyAccess,
    verifyKey: keys?.verifyKey,
    verifyService: createServiceVerifier({ keys: config.tokens.serviceKeys, audience: 'accounting', clock })
      .verifyService,
    checks: {
      database: () => postgres.ping(),
      schema: schemaCheck(postgres),
      ...access.checks,
      ...(config.isProduction && { privileges: privilegesCheck(postgres, logger) }),
    },
    callsPerUser: perUser(
      'calls-per-user',
      { points: config.callsPerMinute, windowSeconds: SECONDS_PER_MINUTE },
      postgres,
    ),
    async start(stopping = NEVER) {
      revocations?.start();
      reports?.start();
      if (config.migrateOnStart)
        await migrateOnceReachable(() => migrate(config), { troubleOf: databaseTrouble, logger, stopping });
      if (stopping.aborted) return;
      for (const round of rounds) round.start();
      memberships?.start();
    },
    close: closers.closeAll,
  };
}

type Surroundings = {
  closers: Closers;
  logger: Logger;
  metrics: Metrics;
  reports: AuditReports | undefined;
  clock: Clock;
};

function openStore(
  config: Config,
  { closers, logger, metrics, reports, clock }: Surroundings,
): { postgres: Postgres; ports: Ports } {
  const { url, poolSize, reportPoolSize, acquireMs, isPooled } = config.database;
  const onFault = (error: Error) => logger.warn('a database connection broke', { error });
  const settings = ledgerSettings(config);
  const opened = openPostgres({ url: url.reveal(), poolSize, acquireMs, settings, isPooled, onFault });
  const postgres = tracedPostgres(closers.add('database', opened));
  const models = openModels({ url: url.reveal(), poolSize: reportPoolSize, acquireMs, isPooled });
  closers.addClose('report connections', () => models.sequelize.close());
  watchInside(metrics, { postgres, models, reports });
  const ports: Ports = {
    accounts: reachable(createAccounts(postgres.query), databaseTrouble),
    holds: tamperedHolds(reachable(createHolds(postgres.query), databaseTrouble), config.failpoints),
    keyLimits: reachable(createKeyLimits(postgres), databaseTrouble),
    limits: reachable(createLimits(postgres.query), databaseTrouble),
    workspaces: reachable(createWorkspaces(postgres.query), databaseTrouble),
    members: reachable(createMembers(postgres.query), databaseTrouble),
    blocks: reachable(createBlocks(postgres.query), databaseTrouble),
    prices: reachable(createPrices(postgres.query, config.priceMaxAgeMs), databaseTrouble),
    reports: reachable(createReports(models), databaseTrouble),
    explanations: reachable(createExplanations(models), databaseTrouble),
    chores: reachable(createChores(postgres), databaseTrouble),
    tenants: reachable(createTenants(postgres.query), databaseTrouble),
    outbox: reachable(createOutbox(postgres.query), databaseTrouble),
    channels: openChannels(config, { closers, logger, clock }),
    deliveryPace: config.outbox.pace,
    random: Math.random,
    transaction: reachable({ run: createTransaction(postgres) }, databaseTrouble).run,
    ...reachableAudit(createAuditPorts(config, postgres)),
    announce: createAnnouncements(postgres.query, (type, error) =>
      logger.error('an event was not put into the outbox', { type, error }),
    ),
    events: withReports(createLedgerEvents(logger, metrics), reports),
    report: reports?.add ?? (() => {}),
    rules: config.rules,
    ...paymentPorts(config, postgres),
  };
  return { postgres, ports };
}

/** What the functions of the ledger read when they open an account or refund to a lot that is over. */
const ledgerSettings = ({ payments: { welcome, refundGraceSeconds } }: Config) => ({
  'tollgate.welcome_credits': String(welcome.credits),
  'tollgate.welcome_days': String(welcome.days),
  'tollgate.refund_grace': `${refundGraceSeconds}s`,
});

function paymentPorts({ payments, voucherTriesPerHour }: Config, postgres: Postgres): PaymentPorts {
  const tries = perUser('voucher-tries', { points: voucherTriesPerHour, windowSeconds: SECONDS_PER_HOUR }, postgres);
  return {
    payments: reachable(createPayments(postgres.query), databaseTrouble),
    vouchers: reachable(createVoucherList(postgres.query), databaseTrouble),
    providers: payments.providers,
    topUpRules: payments.topUpRules,
    tryVoucher: async (userId) => void (await tries?.consume(userId)),
    randomBytes,
  };
}

const SECONDS_PER_MINUTE = 60;
const SECONDS_PER_HOUR = 3600;

type Window = { points: number | undefined; windowSeconds: number };

/** Counts what each user does in a window; undefined when limits are off. */
const perUser = (name: string, { points, windowSeconds }: Window, postgres: Postgres): RateLimiter | undefined =>
  points === undefined
    ? undefined
    : createRateLimiter({
        name,
        points,
        windowSeconds,
        store: { kind: 'postgres', client: postgres.counting, table: 'rate_limits' },
      });

/** Traffic comes only after the migrations; what was there once is not asked for again. */
function schemaCheck(postgres: Postgres): Check {
  let isThere = false;
  return async () => {
    isThere ||= await hasNewestSchema(postgres.query);
    if (!isThere) throw new Error('migrations are missing');
  };
}

/** What talks to the database; signing and files have troubles of their own. */
const reachableAudit = (ports: ReturnType<typeof createAuditPorts>): ReturnType<typeof createAuditPorts> => ({
  ...ports,
  audit: reachable(ports.audit, databaseTrouble),
  heads: reachable(ports.heads, databaseTrouble),
});

/** In production the service takes no calls while its role could write past the entrances; the log says how. */
function privilegesCheck(postgres: Postgres, logger: Logger): Check {
  let told = '';
  return async () => {
    const excess = (await excessivePrivileges(postgres.query)).join('; ');
    if (excess !== '' && excess !== told) logger.error('the role of the service could change the ledger', { excess });
    told = excess;
    if (excess !== '') throw new Error('the role of the service could change the ledger');
  };
}

/** Sequelize wraps what the driver said, and has an error of its own for a pool that is busy. */
const databaseTrouble: typeof troubleOf = (error) =>
  troubleOf(error) ??
  troubleOf((Object(error) as { parent?: unknown }).parent) ??
  (isAcquireTimeout(error) ? 'unavailable' : undefined);

const isAcquireTimeout = (error: unknown): boolean =>
  error instanceof Error && error.name === 'SequelizeConnectionAcquireTimeoutError';
