import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import {
  AppError,
  type Check,
  type Closers,
  createClosers,
  createRateLimiter,
  type RateLimiter,
  unavailable,
} from '@tollgate/http-kit';
import { createServiceVerifier, createVerifier, type ServiceVerifier, type Verifier } from '@tollgate/jwt-claims';
import { createLogger, createMetrics, type Logger, type Metrics } from '@tollgate/telemetry';
import { z } from 'zod';
import type { Config } from './config.ts';
import { createLedgerEvents } from './events.ts';
import { createFlows, type Flows } from './flows.ts';
import type { Ports } from './ports.ts';
import { createRounds, type Rounds } from './schedule.ts';
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
  const rounds = createSchedule(config, flows, logger);
  closers.addClose('rounds', () => Promise.all(rounds.map((round) => round.close())));
  const { accessKeys, serviceKeys, issuer, profile } = config.tokens;
  return {
    config,
    logger,
    metrics,
    flows,
    version: await ownVersion(),
    verifyAccess: createVerifier({ keys: accessKeys, issuer, audience: 'accounting', profile }).verifyAccess,
    verifyService: createServiceVerifier({ keys: serviceKeys, audience: 'accounting' }).verifyService,
    checks: { database: () => postgres.ping(), schema: schemaCheck(postgres) },
    callsPerUser: callsPerUser(config, postgres),
    async start() {
      if (config.migrateOnStart) await migrateUntilDone(config, logger);
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
    accounts: reachable(createAccounts(postgres.query)),
    holds: reachable(createHolds(postgres.query)),
    prices: reachable(createPrices(postgres.query, config.priceMaxAgeMs)),
    reports: reachable(createReports(models)),
    chores: reachable(createChores(postgres)),
    transaction: reachable({ run: createTransaction(postgres) }).run,
    events: createLedgerEvents(logger, metrics),
    rules: config.rules,
  };
  return { postgres, ports };
}

const KEEPING_INTERVAL_MS = 3_600_000;

function createSchedule({ sweep }: Config, flows: Flows, logger: Logger): Rounds[] {
  const { intervalMs } = sweep;
  return [
    // One lease after the start: while this service was away nobody could renew.
    createRounds(flows.sweepHolds, { delayMs: sweep.startDelayMs, intervalMs, logger }),
    createRounds(flows.expireCredits, { delayMs: 0, intervalMs, logger }),
    createRounds(flows.forgetAnswers, { delayMs: intervalMs, intervalMs: KEEPING_INTERVAL_MS, logger }),
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

const MIGRATION_RETRY_MS = 2000;

/** A database that goes away in the middle of a migration is no reason to end the service. */
async function migrateUntilDone({ database }: Config, logger: Logger): Promise<void> {
  for (;;) {
    try {
      const steps = await runMigrations(database.url.reveal());
      logger.info('the database has the newest schema', { steps });
      return;
    } catch (error) {
      if (troubleOf(error) === undefined) throw error;
      logger.error('a migration failed and will be tried again', { error });
      await pause(MIGRATION_RETRY_MS);
    }
  }
}

const RETRY_AFTER_SECONDS = 2;

/** A database that is away, busy or full is a 503 that says when to come back, not a 500. */
function reachable<Store extends object>(store: Store): Store {
  return new Proxy(store, {
    get(target, name, receiver) {
      const operation: unknown = Reflect.get(target, name, receiver);
      if (typeof operation !== 'function') return operation;
      return async (...inputs: unknown[]) => {
        try {
          return await Reflect.apply(operation, target, inputs);
        } catch (error) {
          throw asTrouble(error);
        }
      };
    },
  });
}

function asTrouble(error: unknown): unknown {
  if (error instanceof AppError) return error;
  // Sequelize wraps what the driver said.
  const trouble = troubleOf(error) ?? troubleOf((Object(error) as { parent?: unknown }).parent);
  if (trouble === undefined)
    return isAcquireTimeout(error) ? unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, error) : error;
  return unavailable(trouble === 'full' ? 'STORAGE_FULL' : 'DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, error);
}

const isAcquireTimeout = (error: unknown): boolean =>
  error instanceof Error && error.name === 'SequelizeConnectionAcquireTimeoutError';

/** The version of this package; it lies at the same distance from `src` and from `dist`. */
async function ownVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
