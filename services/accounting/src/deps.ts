import {
  type Check,
  type Closers,
  createClosers,
  createRateLimiter,
  createRounds,
  migrateOnceReachable,
  packageVersion,
  type RateLimiter,
  reachable,
  type Rounds,
} from '@tollgate/http-kit';
import { createServiceVerifier, createVerifier, type ServiceVerifier, type Verifier } from '@tollgate/jwt-claims';
import { createLogger, createMetrics, type Logger, type Metrics } from '@tollgate/telemetry';
import type { Config } from './config.ts';
import { createLedgerEvents } from './events.ts';
import { createFlows, type Flows } from './flows.ts';
import { createSweepSteadily } from './flows/sweep-steadily.ts';
import type { Ports } from './ports.ts';
import { createAccounts } from './store/accounts.ts';
import { createChores } from './store/chores.ts';
import { createHolds } from './store/holds.ts';
import { hasNewestSchema, runMigrations } from './store/migrate.ts';
import { openModels } from './store/models.ts';
import { openPostgres, type Postgres, troubleOf } from './store/postgres.ts';
import { createPrices } from './store/prices.ts';
import { createReports } from './store/reports.ts';
import { createTransaction } from './store/unit-of-work.ts';

export type Overrides = Readonly<{ logger?: Logger }>;
export type Deps = Readonly<{
  config: Config;
  version: string;
  logger: Logger;
  metrics: Metrics;
  verifyAccess: Verifier['verifyAccess'];
  verifyService: ServiceVerifier['verifyService'];
  /** What readiness asks for. */
  checks: Readonly<Record<string, Check>>;
  callsPerUser: RateLimiter | undefined;
  flows: Flows;
  /** Migrates when that is wanted and begins the rounds; requests are answered before, with 503 when the database is away. */
  start(): Promise<void>;
  close(): Promise<void>;
}>;

const CLOSE_MS = 8000;

/** Builds the service in order; nothing of it waits for the database. */
export async function createDeps(config: Config, overrides: Overrides = {}): Promise<Deps> {
  const logger = overrides.logger ?? createLogger({ service: 'accounting', level: config.logLevel });
  const metrics = createMetrics({ service: 'accounting' });
  const closers = createClosers(logger);
  const { postgres, ports } = openStore(config, { closers, logger, metrics });
  const flows = createFlows(ports);
  const rounds = scheduledRounds(config, { flows, chores: ports.chores, logger });
  closers.addClose('rounds', () => Promise.all(rounds.map((round) => round.close())));
  const { accessKeys, serviceKeys, issuer, profile } = config.tokens;
  return {
    config,
    logger,
    metrics,
    flows,
    version: await packageVersion(import.meta.url),
    verifyAccess: createVerifier({ keys: accessKeys, issuer, audience: 'accounting', profile }).verifyAccess,
    verifyService: createServiceVerifier({ keys: serviceKeys, audience: 'accounting' }).verifyService,
    checks: { database: () => postgres.ping(), schema: schemaCheck(postgres) },
    callsPerUser: callsPerUser(config, postgres),
    async start() {
      if (config.migrateOnStart)
        await migrateOnceReachable(() => runMigrations(config.database.url.reveal()), databaseTrouble, logger);
      for (const round of rounds) round.start();
    },
    close: () => closers.closeAll(CLOSE_MS),
  };
}

type Surroundings = { closers: Closers; logger: Logger; metrics: Metrics };

function openStore(config: Config, { closers, logger, metrics }: Surroundings): { postgres: Postgres; ports: Ports } {
  const { url, poolSize, reportPoolSize, acquireMs } = config.database;
  const onFault = (error: Error) => logger.warn('a database connection broke', { error });
  const postgres = closers.add('database', openPostgres({ url: url.reveal(), poolSize, acquireMs, onFault }));
  const models = openModels({ url: url.reveal(), poolSize: reportPoolSize, acquireMs });
  closers.addClose('report connections', () => models.sequelize.close());
  const ports: Ports = {
    accounts: reachable(createAccounts(postgres.query), databaseTrouble),
    holds: reachable(createHolds(postgres.query), databaseTrouble),
    prices: reachable(createPrices(postgres.query, config.priceMaxAgeMs), databaseTrouble),
    reports: reachable(createReports(models), databaseTrouble),
    chores: reachable(createChores(postgres), databaseTrouble),
    transaction: reachable({ run: createTransaction(postgres) }, databaseTrouble).run,
    events: createLedgerEvents(logger, metrics),
    rules: config.rules,
  };
  return { postgres, ports };
}

const KEEPING_INTERVAL_MS = 3_600_000;
const ROLL_UP_INTERVAL_MS = 600_000;

type Scheduled = Pick<Ports, 'chores'> & { flows: Flows; logger: Logger };

function scheduledRounds({ sweep }: Config, { flows, chores, logger }: Scheduled): Rounds[] {
  // Nothing that a round books is needed for a right answer.
  const failed = (error: unknown) => logger.warn('a scheduled round failed and will be tried again', { error });
  const often = { everyMs: sweep.intervalMs, failed };
  return [
    createRounds(createSweepSteadily({ chores, sweepHolds: flows.sweepHolds }, sweep), often),
    createRounds(flows.expireCredits, often),
    createRounds(flows.rollUpUsage, { everyMs: ROLL_UP_INTERVAL_MS, delayMs: sweep.intervalMs, failed }),
    createRounds(flows.forgetAnswers, { everyMs: KEEPING_INTERVAL_MS, delayMs: sweep.intervalMs, failed }),
  ];
}

const callsPerUser = ({ callsPerMinute }: Config, postgres: Postgres): RateLimiter | undefined =>
  callsPerMinute === undefined
    ? undefined
    : createRateLimiter({
        name: 'calls-per-user',
        points: callsPerMinute,
        windowSeconds: 60,
        store: { kind: 'postgres', client: postgres.pool, table: 'rate_limits' },
      });

/** Traffic comes only after the migrations; what was there once is not asked for again. */
function schemaCheck(postgres: Postgres): Check {
  let isThere = false;
  return async () => {
    isThere ||= await hasNewestSchema(postgres.query);
    if (!isThere) throw new Error('migrations are missing');
  };
}

/** Sequelize wraps what the driver said, and has an error of its own for a pool that is busy. */
const databaseTrouble: typeof troubleOf = (error) =>
  troubleOf(error) ??
  troubleOf((Object(error) as { parent?: unknown }).parent) ??
  (isAcquireTimeout(error) ? 'unavailable' : undefined);

const isAcquireTimeout = (error: unknown): boolean =>
  error instanceof Error && error.name === 'SequelizeConnectionAcquireTimeoutError';
