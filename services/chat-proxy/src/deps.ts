import { once } from 'node:events';
import { type Check, type Closers, createHealth, migrateOnceReachable, NEVER } from '@tollgate/http-kit';
import { hasNewestSchema, runMigrations, troubleOf, untilConnected } from '@tollgate/mongo-kit';
import type { Logger, Metrics } from '@tollgate/telemetry';
import { createAnswering } from './deps/answer.ts';
import { backgroundRounds } from './deps/background.ts';
import type { AppFlows, AppOptions } from './app.ts';
import { accountingClient } from './clients/accounting.ts';
import { authClient } from './clients/auth.ts';
import { serviceToken } from './clients/service-token.ts';
import type { Config } from './config.ts';
import type { Tell } from './domain/facts.ts';
import { createTampering, type Tampering } from './deps/failpoints.ts';
import { createFlowiseDoor } from './deps/flowise.ts';
import { createFileFlows } from './deps/files.ts';
import { createMeasureJournal } from './flows/answers/measure-journal.ts';
import { createLogIn } from './flows/log-in.ts';
import { type Instruments, openInstruments, type Overrides } from './deps/instruments.ts';
import { createLibrary, type Library } from './deps/library.ts';
import { createFirstPartObserver, watch } from './deps/metrics.ts';
import { createOpenAiFlows } from './deps/openai.ts';
import type { Clock } from './ports.ts';
import { type Admission, createAdmission } from './deps/revocation.ts';
import { createRefusalReports } from './deps/report.ts';
import { MIGRATIONS } from './store/migrations.ts';
import { openSockets } from './deps/socket.ts';
import { openStores, type Stores } from './deps/store.ts';
import type { Streams } from './deps/streams.ts';
import { connectUpstreams } from './deps/upstream.ts';

export interface Deps {
  readonly app: AppOptions;
  readonly logger: Logger;
  readonly health: AppOptions['health'];
  readonly metrics: Pick<Metrics, 'describe'>;
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

const CLOSING_MS = 8000;

/** Builds the whole service, by hand, in order. Nothing is connected when it returns; everything connects by itself. */
export async function createDeps(config: Config, overrides: Overrides = {}): Promise<Deps> {
  const instruments = await openInstruments(config, overrides);
  const { clock, logger, metrics, tell, closers } = instruments;

  const tampering = createTampering(config.FAILPOINTS);
  const stores = tampering.stores(openStores(config, logger, closers));
  const { mongo } = stores;
  const { auth, accounting } = connectNeighbours(config, { clock, closers, tampering });
  const asking = { ...stores, clock, tell, firstPart: createFirstPartObserver(metrics) };
  const upstreams = tampering.upstreams(closers.add('upstreams', connectUpstreams(config, asking)));
  const files = createFileFlows(config, { stores, ...instruments });
  const outside = { stores, accounting, auth, upstreams };
  const answering = createAnswering(config, { ...instruments, ...outside, files: files.inChats });
  const library = createLibrary(config, { ...instruments, ...outside, links: files.links });
  const admission = createAdmission(config, { ...instruments, ...answering, ...library });

  const stream = streamOf(config, logger);
  const { sessions: conversations } = library.flows;
  const sockets = openSockets(config, { ...instruments, answering, admission, stream });
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
  const checks = { ...checksOf(mongo, answering.streams), ...admission.checks };
  const health = createHealth({ service: 'chat-proxy', checks });
  const reports = createRefusalReports(config, { closers, tell, clock });
  const measured = createMeasureJournal({ journal: stores.journal, clock });
  const background = backgroundRounds(config, { ...instruments, ...answering, measured, mongo });
  const rounds = [...background, ...library.rounds, ...files.rounds, reports];
  const inside = { health, mongo, sockets, reports, journal: measured, recordings: answering.streams.recordings };
  const observe = watch(metrics, { ...answering, ...admission, ...outside, ...inside });
  closers.addClose('streams', answering.streams.leave);
  closers.addClose('rounds', () => Promise.all(rounds.map((round) => round.close())));

  return {
    logger,
    health,
    metrics,
    app: {
      ...appSettings(config, admission, instruments),
      health,
      flows,
      sockets,
      isOriginAllowed: flowise.isOriginAllowed,
      limit: answering.streams.limit,
      refused: reports.refused,
      observe,
    },
    async start(stopping = NEVER) {
      admission.revocations.start();
      if (config.MIGRATE_ON_START) await migrate(mongo, logger, stopping);
      if (stopping.aborted) return;
      for (const round of rounds) round.start();
      if (config.SYNC_ON_START) synchroniseSoon(mongo, library, tell);
    },
    draining: sockets.leave,
    endAnswers: answering.endAnswers,
    checkpoint: () => answering.keeper.note(),
    async close(deadlineMs = CLOSING_MS) {
      sockets.leave();
      await endAll(answering, deadlineMs / 2);
      await closers.closeAll(deadlineMs / 2).finally(() => logger.close());
    },
  };
}

/** Right after the start the database may still be on its way. */
function synchroniseSoon({ connected }: Stores['mongo'], { synchronise }: Library, tell: Tell): void {
  void connected
    .then(synchronise)
    .catch((error: unknown) => tell('background_failed', { task: 'sync', reason: String(error) }));
}

/** What is not settled by then stays in the journal, for whoever lives. */
async function endAll({ endAnswers, settled }: ReturnType<typeof createAnswering>, ms: number): Promise<void> {
  endAnswers();
  const enough = AbortSignal.timeout(Math.floor(ms));
  await Promise.race([settled(enough), once(enough, 'abort')]);
}

async function migrate(mongo: Stores['mongo'], logger: Logger, stopping: AbortSignal): Promise<void> {
  await untilConnected(mongo, stopping);
  await migrateOnceReachable(() => runMigrations(mongo.db(), MIGRATIONS), { troubleOf, logger, stopping });
}

/** Traffic comes only after the migrations: without the unique indexes one key could stand for two answers. */
function checksOf(mongo: Stores['mongo'], streams: Streams): Record<'mongo' | 'schema' | 'instance', Check> {
  let isThere = false;
  return {
    mongo: () => mongo.ping(),
    async schema() {
      isThere ||= await hasNewestSchema(mongo.db(), MIGRATIONS);
      if (!isThere) throw new Error('migrations are missing');
    },
    async instance() {
      if (!streams.isKnown()) throw new Error('the other processes do not know this one yet');
    },
  };
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

function appSettings(config: Config, { authenticate }: Admission, { version, logger, tracer, metrics }: Instruments) {
  return {
    version,
    logger,
    ...(tracer && { tracer }),
    metrics: () => metrics.text(),
    authenticate,
    allowedOrigins: config.ALLOWED_ORIGINS,
    trustProxyHops: config.TRUST_PROXY_HOPS,
    production: config.NODE_ENV === 'production',
    stallMs: config.CLIENT_STALL_TIMEOUT,
    ...(config.METRICS_TOKEN && { metricsTokens: config.METRICS_TOKEN.map(({ secret }) => secret.reveal()) }),
  };
}
