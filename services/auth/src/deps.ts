import {
  type AuditReports,
  type Check,
  type Closers,
  createClosers,
  createRateLimiter,
  createRounds,
  createServiceClock,
  inSpan,
  migrateOnceReachable,
  NEVER,
  packageVersion,
  type RateLimiter,
  reachable,
  requestContext,
  type Rounds,
} from '@tollgate/http-kit';
import { createServiceVerifier, type ServiceVerifier } from '@tollgate/jwt-claims';
import { createMailer } from '@tollgate/mail';
import { hasNewestSchema, type Mongo, openMongo, runMigrations, troubleOf, untilConnected } from '@tollgate/mongo-kit';
import {
  createHeartbeats,
  createLogger,
  createMetrics,
  type Logger,
  type Metrics,
  openTracing,
  type Tracing,
} from '@tollgate/telemetry';
import { createAuditPorts, createAuditRounds } from './audit-deps.ts';
import { readCommonPasswords } from './clients/common-passwords.ts';
import { createBackupCodes } from './clients/backup-codes.ts';
import { createFieldCipher } from './clients/field-cipher.ts';
import { createKeyLimitBook } from './clients/key-limit-book.ts';
import { createKeySecrets } from './clients/key-secrets.ts';
import { createMailedSecrets } from './clients/mailed-secrets.ts';
import { createPasswordPool, type PasswordPool } from './clients/password-pool.ts';
import { accountingToken } from './clients/service-token.ts';
import { createTokens } from './clients/tokens.ts';
import { createTotp } from './clients/totp.ts';
import { createTrustedDevices } from './clients/trusted-devices.ts';
import type { Config } from './config.ts';
import type { PasswordRules } from './domain/password-rules.ts';
import { breachRules } from './domain/breach-rules.ts';
import { type AuditedEvents, createAuditedEvents } from './events.ts';
import { createDeliverMail } from './flows/deliver-mail.ts';
import { createCompleteRevocations } from './flows/sessions/complete-revocations.ts';
import { createFlows, type Flows } from './flows.ts';
import { measuringRounds, watchInside } from './metrics-deps.ts';
import type { Clock, Limits, Ports } from './ports.ts';
import type { AuditPorts } from './ports/audit.ts';
import { createAdminRoster } from './store/admin-roster.ts';
import { createApiKeys } from './store/api-keys.ts';
import { createChallenges } from './store/challenges.ts';
import { createEndedAccess } from './store/ended-access.ts';
import { createKeyUse } from './store/key-use.ts';
import { createLimits } from './store/limits.ts';
import { createMailQueue } from './store/mail-queue.ts';
import { createMailedCodes } from './store/mailed-codes.ts';
import { DATABASE, MIGRATIONS } from './store/migrations.ts';
import { createRevocations } from './store/revocations.ts';
import { createSecondFactors } from './store/second-factors.ts';
import { createSessions } from './store/sessions.ts';
import { createUsers } from './store/users.ts';
import { createInvitations } from './store/workspaces/invitations.ts';
import { createMemberships } from './store/workspaces/memberships.ts';
import { createWorkspaces } from './store/workspaces/workspaces.ts';

export type Overrides = Readonly<{ clock?: Clock; logger?: Logger }>;
export type Deps = Readonly<{
  config: Config;
  version: string;
  logger: Logger;
  metrics: Metrics;
  /** Absent where nothing is traced. */
  tracer: Tracing['tracer'];
  verifyAccess: ReturnType<typeof createTokens>['verifyAccess'];
  /** The public keys of access tokens; undefined when they are signed with a shared secret. */
  keySet: ReturnType<typeof createTokens>['keySet'];
  verifyService: ServiceVerifier['verifyService'];
  /** Calls of a service for one operation at this instance, counted loosely: it only keeps one that runs wild from the database. */
  callsPerService: RateLimiter | undefined;
  clock: Clock;
  /** What readiness asks for. */
  checks: Readonly<Record<string, Check>>;
  flows: Flows;
  /** Told of refusals; they go to the audit log. */
  refused: AuditReports['refused'];
  /** Resolves when the database answers. */
  connected: Promise<void>;
  /** Begins what needs the database, when it is there; requests are answered before, with 503. */
  start(stopping?: AbortSignal): Promise<void>;
  close(deadlineMs?: number): Promise<void>;
}>;

const CALLS_PER_SERVICE = { name: 'calls-per-service', points: 120_000, windowSeconds: 60 };
const COMPLETE_EVERY_MS = 10_000;

/** Builds the service in order; nothing of it waits for the database. */
export async function createDeps(config: Config, overrides: Overrides = {}): Promise<Deps> {
  const logger =
    overrides.logger ?? createLogger({ service: 'auth', level: config.logLevel, context: requestContext.fields });
  const clock = overrides.clock ?? createServiceClock(config.clockOffsetFile);
  const metrics = createMetrics({ service: 'auth' });
  const closers = createClosers(logger);
  const version = await packageVersion(import.meta.url);
  const { tracer } = closers.add('traces', await openTracing({ service: 'auth', version, ...config.tracing }));
  const mongo = openDatabase(config, closers, logger);
  const { tokens, verifyAccess, keySet } = createTokens({ ...config.tokens, clock });
  const ports = await createPorts(config, { mongo, closers, logger, metrics, clock });
  const rules: PasswordRules = { ...config.passwordRules, common: await readCommonPasswords() };
  const deliverMail = createDeliverMail({ ...ports, ...config.mail, codeLives: config.codeLives });
  const failed = (error: unknown) => logger.warn('a round of mails failed and will be tried again', { error });
  const completeRevocations = createCompleteRevocations(ports);
  const beat = createHeartbeats(metrics);
  const { pollMs: everyMs } = config.mail;
  const mailRounds = closers.add(
    'mail rounds',
    createRounds(deliverMail, { everyMs, failed, finished: beat('deliver-mail', everyMs) }),
  );
  const measuring = closers.add('measuring', measuringRounds(metrics, ports, { beat, failed }));
  const flows = createFlows(
    config,
    { ...ports, tokens, mailQueue: nudging(ports.mailQueue, mailRounds) },
    { rules, breachRules: breachRules(config.alerts) },
  );
  const auditRounds = createAuditRounds(config, { flows, events: ports.events }, { closers, logger, beat });
  watchInside(metrics, { mongo, passwords: ports.passwords, reports: auditRounds.reports });
  const revocationRounds = closers.add(
    'revocation rounds',
    createRounds(completeRevocations, {
      everyMs: COMPLETE_EVERY_MS,
      finished: beat('complete-revocations', COMPLETE_EVERY_MS),
      failed: (error) => logger.warn('revocations could not be completed and will be tried again', { error }),
    }),
  );
  return {
    config,
    logger,
    metrics,
    clock,
    flows,
    refused: auditRounds.refused,
    verifyAccess,
    callsPerService: config.limits && createRateLimiter(CALLS_PER_SERVICE),
    keySet,
    verifyService: createServiceVerifier({ keys: config.tokens.serviceKeys, audience: 'auth', clock }).verifyService,
    connected: mongo.connected,
    checks: { database: () => mongo.ping(), schema: schemaCheck(mongo) },
    version,
    tracer,
    async start(stopping = NEVER) {
      await untilConnected(mongo, stopping);
      if (config.migrateOnStart)
        await migrateOnceReachable(() => runMigrations(mongo.db(), MIGRATIONS), { troubleOf, logger, stopping });
      if (stopping.aborted) return;
      mailRounds.start();
      measuring.start();
      auditRounds.start();
      revocationRounds.start();
    },
    close: closers.closeAll,
  };
}

/**
 * Traffic comes only after the migrations: without the unique indexes two accounts could share a name. What was there once is not
 * asked for again.
 */
function schemaCheck(mongo: Mongo): Check {
  let isThere = false;
  return async () => {
    isThere ||= await hasNewestSchema(mongo.db(), MIGRATIONS);
    if (!isThere) throw new Error('migrations are missing');
  };
}

function openDatabase(config: Config, closers: Closers, logger: Logger): Mongo {
  const onFault = (error: unknown) => logger.warn('no connection to the database yet', { error });
  const url = config.mongoUrl.reveal();
  return closers.add(
    'database',
    openMongo({ url, defaultDatabase: DATABASE, onFault, around: traced, ...config.mongo }),
  );
}

/** An operation is a step of the trace under way, without what was asked. */
const traced = <T>(operation: () => Promise<T>): Promise<T> =>
  inSpan(['mongodb', 'client', { 'db.system.name': 'mongodb' }], operation);

type Surroundings = { mongo: Mongo; closers: Closers; logger: Logger; metrics: Metrics; clock: Clock };

async function createPorts(
  config: Config,
  { mongo, closers, logger, metrics, clock }: Surroundings,
): Promise<Omit<Ports, 'tokens'> & AuditPorts & { events: AuditedEvents; passwords: PasswordPool }> {
  const { connection } = mongo;
  const open = <Store extends object>(store: Store): Store => reachable(mongo.bounded(store), troubleOf);
  const audit = createAuditPorts(config, mongo);
  const defaultWorkspaceId = config.tokens.workspaceId;
  return {
    clock,
    users: open(createUsers(connection)),
    sessions: open(createSessions(connection)),
    mailedCodes: open(createMailedCodes(connection)),
    challenges: open(createChallenges(connection)),
    apiKeys: open(createApiKeys(connection)),
    keySecrets: createKeySecrets(),
    keyLimitBook: openKeyLimitBook(config, closers, clock),
    endedAccess: open(createEndedAccess(connection)),
    revocations: open(createRevocations(connection)),
    workspaces: open(createWorkspaces(connection)),
    memberships: open(createMemberships(connection)),
    invitations: open(createInvitations(connection)),
    secondFactors: open(createSecondFactors(connection)),
    keyUse: open(createKeyUse(connection)),
    totp: createTotp(),
    backupCodes: createBackupCodes(config.tokenHashKeys),
    fieldCipher: createFieldCipher(config.mfaKeys),
    devices: createTrustedDevices(config.tokenHashKeys),
    mailQueue: open(createMailQueue(connection)),
    adminRoster: open(createAdminRoster(connection)),
    ...audit,
    events: createAuditedEvents({ ...audit, clock, logger, metrics, defaultWorkspaceId }),
    limits: config.limits ? reachable(createLimits(mongo, config.limits), troubleOf) : NO_LIMITS,
    mailer: closers.add('mailer', createMailer({ url: config.mail.url.reveal(), from: config.mail.from })),
    passwords: closers.add('password pool', await createPasswordPool(config.passwords)),
    secrets: createMailedSecrets(config.tokenHashKeys, clock),
  };
}

function openKeyLimitBook({ accountingUrl, tokens }: Config, closers: Closers, clock: Clock) {
  if (accountingUrl === undefined) return undefined;
  const options = { baseUrl: accountingUrl, token: accountingToken(tokens.serviceKeys, clock) };
  return closers.add('accounting', createKeyLimitBook(options));
}

const NO_LIMITS: Limits = {
  spend: async () => {},
  check: async () => {},
  guess: (_name, _key, guess) => guess(),
  tryOut: (_name, _key, guess) => guess(),
};

/** A new order wakes the mail rounds of this process; other processes find it at their next look. */
const nudging = (queue: Ports['mailQueue'], rounds: Rounds): Ports['mailQueue'] => ({
  ...queue,
  async add(order, now) {
    await queue.add(order, now);
    rounds.nudge();
  },
});
