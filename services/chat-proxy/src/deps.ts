import { once } from 'node:events';
import {
  type Check,
  type Closers,
  createClosers,
  createHealth,
  createRounds,
  createServiceClock,
  migrateOnceReachable,
  NEVER,
  packageVersion,
  requestContext,
  type Rounds,
} from '@tollgate/http-kit';
import { hasNewestSchema, runMigrations, troubleOf, untilConnected } from '@tollgate/mongo-kit';
import { createLogger, createMetrics, type Logger } from '@tollgate/telemetry';
import { createAnswering } from './deps/answer.ts';
import type { AppFlows, AppOptions } from './app.ts';
import { accountingClient } from './clients/accounting.ts';
import { authClient } from './clients/auth.ts';
import { serviceToken } from './clients/service-token.ts';
import type { Config } from './config.ts';
import type { Facts } from './domain/facts.ts';
import { createTell } from './events.ts';
import { createTampering, type Tampering } from './deps/failpoints.ts';
import { createFlowiseDoor } from './deps/flowise.ts';
import { createFileFlows } from './deps/files.ts';
import { createLogIn } from './flows/log-in.ts';
import { createLibrary } from './deps/library.ts';
import { watch } from './deps/metrics.ts';
import { createOpenAiFlows } from './deps/openai.ts';
import type { Clock } from './ports.ts';
import { type Admission, createAdmission } from './deps/revocation.ts';
import { createRefusalReports } from './deps/report.ts';
import { MIGRATIONS } from './store/migrations.ts';
import { openSockets } from './deps/socket.ts';
import { openStores, type Stores } from './deps/store.ts';
import { connectUpstreams } from './deps/upstream.ts';

export interface Overrides {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface Deps {
  readonly app: AppOptions;
  readonly logger: Logger;
  readonly health: AppOptions['health'];
  /** Begins the background tasks. */
  start(stopping?: AbortSignal): Promise<void>;
  /** Nothing new is accepted: sockets end, with the last of their answers. */
  draining(): void;
  /** Tells every running answer to end now. */
  endAnswers(): void;
  /** Writes down how far the running answers are. */
  checkpoint(): Promise<void>;
  close(deadlineMs?: number): Promise<void>;
}

const SAVE_EVERY_MS = 2000;
const BEATS_PER_LEASE = 4;
const CLOSING_MS = 8000;

/** Builds the whole service, by hand, in order. Nothing is connected when it returns; everything connects by itself. */
export async function createDeps(config: Config, overrides: Overrides = {}): Promise<Deps> {
  const clock = overrides.clock ?? createServiceClock(config.CLOCK_OFFSET_FILE);
  const logger = overrides.logger ?? createOwnLogger(config);
  const metrics = createMetrics({ service: 'chat-proxy' });
  const tell = createTell(logger, metrics);
  const closers = createClosers(logger);

  const tampering = createTampering(config.FAILPOINTS);
  const stores = tampering.stores(openStores(config, logger, closers));
  const { mongo } = stores;
  const { auth, accounting } = connectNeighbours(config, { clock, closers, tampering });
  const upstreams = tampering.upstreams(closers.add('upstreams', connectUpstreams(config, { ...stores, clock, tell })));
  const files = createFileFlows(config, { stores, clock, tell });
  const answering = createAnswering(config, { stores, accounting, upstreams, clock, tell, files: files.inChats });
  const library = createLibrary(config, { stores, links: files.links, auth, upstreams, clock, tell });
  const admission = createAdmission(config, { ...answering, ...library, logger, clock, tell, closers });

  const stream = streamOf(config, logger);
  const { sessions: conversations } = library.flows;
  const sockets = openSockets(config, { answering, admission, stream, clock });
  const door = { stores, upstreams, conversations, files, answering, ...admission, stream, clock, tell };
  const flowise = createFlowiseDoor(config, door);
  const flows: AppFlows = {
    chat: { chat: answering.chat, balance: (caller) => accounting.balance(caller), stream },
    openai: createOpenAiFlows(config, { chatflows: stores.chatflows, answering, stream }),
    streams: { ...answering.streams.requests, stream },
    login: createLogIn({ auth }),
    ...library.flows,
    files,
    flowise: flowise.flows,
  };
  const health = createHealth({ service: 'chat-proxy', checks: { ...checksOf(mongo), ...admission.checks } });
  const failed = (task: BackgroundTask, error: unknown) => tell('background_failed', { task, reason: String(error) });
  const reports = createRefusalReports(config, { closers, tell, clock });
  const rounds = [...backgroundRounds(config, answering, failed), ...library.rounds, ...files.rounds, reports];
  closers.addClose('streams', answering.streams.leave);
  closers.addClose('rounds', () => Promise.all(rounds.map((round) => round.close())));

  return {
    logger,
    health,
    app: {
      ...(await appSettings(config, admission)),
      health,
      logger,
      flows,
      sockets,
      isOriginAllowed: flowise.isOriginAllowed,
      limit: answering.streams.limit,
      refused: reports.refused,
      observe: watch(metrics, { ...answering, ...admission, servers: upstreams.servers }),
      metrics: () => metrics.text(),
    },
    async start(stopping = NEVER) {
      admission.revocations.start();
      if (config.MIGRATE_ON_START) await migrate(mongo, logger, stopping);
      if (stopping.aborted) return;
      for (const round of rounds) round.start();
      // Right after the start the database may still be on its way.
      const synchronise = () => mongo.connected.then(() => library.synchronise());
      if (config.SYNC_ON_START) void synchronise().catch((error: unknown) => failed('sync', error));
    },
    draining: sockets.leave,
    endAnswers: answering.endAnswers,
    checkpoint: () => answering.keeper.note(),
    async close(deadlineMs = CLOSING_MS) {
      sockets.leave();
      answering.endAnswers();
      await settleAll(answering, deadlineMs / 2);
      await closers.closeAll(deadlineMs / 2);
      await logger.close();
    },
  };
}

/** What is not settled by then stays in the journal, for whoever lives. */
async function settleAll({ settled }: ReturnType<typeof createAnswering>, ms: number): Promise<void> {
  const enough = AbortSignal.timeout(Math.floor(ms));
  await Promise.race([settled(enough), once(enough, 'abort')]);
}

async function migrate(mongo: Stores['mongo'], logger: Logger, stopping: AbortSignal): Promise<void> {
  await untilConnected(mongo, stopping);
  await migrateOnceReachable(() => runMigrations(mongo.db(), MIGRATIONS), { troubleOf, logger, stopping });
}

/** Traffic comes only after the migrations: without the unique indexes one key could stand for two answers. */
function checksOf(mongo: Stores['mongo']): Record<'mongo' | 'schema', Check> {
  let isThere = false;
  return {
    mongo: () => mongo.ping(),
    async schema() {
      isThere ||= await hasNewestSchema(mongo.db(), MIGRATIONS);
      if (!isThere) throw new Error('migrations are missing');
    },
  };
}

const createOwnLogger = ({ LOG_LEVEL: level }: Config): Logger =>
  createLogger({ service: 'chat-proxy', level, context: requestContext.fields });

type BackgroundTask = Facts['background_failed']['task'];

/** What goes on beside the requests; leftovers of an earlier life are looked at right away. */
function backgroundRounds(
  config: Config,
  { keeper, settler, saveLater, streams }: ReturnType<typeof createAnswering>,
  failed: (task: BackgroundTask, error: unknown) => void,
): Rounds[] {
  const every = (task: BackgroundTask, everyMs: number, turn: () => Promise<unknown>) =>
    createRounds(turn, { everyMs, failed: (error) => failed(task, error) });
  return [
    every('renew', config.HOLD_RENEW_INTERVAL, () => keeper.renew()),
    every('checkpoint', config.CHECKPOINT_INTERVAL, () => keeper.note()),
    every('leftovers', config.LEFTOVERS_INTERVAL, () => settler.tick()),
    every('beat', config.JOURNAL_LEASE / BEATS_PER_LEASE, () => streams.beat()),
    every('listen', config.ANSWER_LISTEN_INTERVAL, () => streams.listen()),
    every('share', config.ANSWER_SHARE_INTERVAL, () => streams.share()),
    every('messages', SAVE_EVERY_MS, () => saveLater.tick()),
  ];
}

type Connecting = { clock: Clock; closers: Closers; tampering: Tampering };

function connectNeighbours(config: Config, { clock, closers, tampering }: Connecting) {
  const accounting = accountingClient({
    baseUrl: config.ACCOUNTING_API_URL,
    timeoutMs: config.ACCOUNTING_TIMEOUT,
    connections: config.ACCOUNTING_CONNECTIONS,
    closingConnections: config.ACCOUNTING_CLOSING_CONNECTIONS,
    breakAfter: config.ACCOUNTING_BREAK_AFTER,
    breakMs: config.ACCOUNTING_BREAK_TIME,
    clock,
    token: serviceToken(config.JWT_SERVICE_SECRET, 'accounting', clock),
  });
  const auth = authClient({
    baseUrl: config.AUTH_API_URL,
    timeoutMs: config.AUTH_TIMEOUT,
    defaultWorkspaceId: config.DEFAULT_WORKSPACE_ID,
  });
  return { auth: closers.add('auth', auth), accounting: tampering.accounting(closers.add('accounting', accounting)) };
}

const streamOf = (config: Config, logger: Logger): AppFlows['chat']['stream'] => ({
  heartbeatMs: config.HEARTBEAT_INTERVAL,
  clientStallMs: config.CLIENT_STALL_TIMEOUT,
  failed: ({ code, detail, cause }) => logger.warn('an answer broke off', { code, detail, cause }),
});

async function appSettings(config: Config, { authenticate }: Admission) {
  return {
    version: await packageVersion(import.meta.url),
    authenticate,
    allowedOrigins: config.ALLOWED_ORIGINS,
    trustProxyHops: config.TRUST_PROXY_HOPS,
    production: config.NODE_ENV === 'production',
    stallMs: config.CLIENT_STALL_TIMEOUT,
    ...(config.METRICS_TOKEN && { metricsToken: config.METRICS_TOKEN.reveal() }),
  };
}
