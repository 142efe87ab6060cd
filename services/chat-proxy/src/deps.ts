import { readFile } from 'node:fs/promises';
import { createAuthenticator, createClosers, createHealth, requestContext } from '@tollgate/http-kit';
import { createVerifier } from '@tollgate/jwt-claims';
import { createLogger, createMetrics, type Logger } from '@tollgate/telemetry';
import { z } from 'zod';
import { createAnswering } from './answer-deps.ts';
import type { AppFlows, AppOptions } from './app.ts';
import { accountingClient } from './clients/accounting.ts';
import { authClient } from './clients/auth.ts';
import { accountingToken } from './clients/service-token.ts';
import type { Config } from './config.ts';
import type { Facts, Tell } from './domain/facts.ts';
import { createTell } from './events.ts';
import { createAssignments } from './flows/assign-chatflow.ts';
import { createDeleteConversations } from './flows/delete-conversations.ts';
import { createForgetUpstream } from './flows/forget-upstream.ts';
import { createLogIn } from './flows/log-in.ts';
import { createReadChatflows } from './flows/read-chatflows.ts';
import { createReadConversations } from './flows/read-conversations.ts';
import { createSyncChatflows } from './flows/sync-chatflows.ts';
import { watch } from './metrics-deps.ts';
import type { Clock } from './ports.ts';
import { createSchedule, type Schedule } from './schedule.ts';
import { runMigrations } from './store/migrate.ts';
import { openStores, type Stores } from './store-deps.ts';
import { connectUpstreams } from './upstream-deps.ts';

export interface Overrides {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface Deps {
  readonly app: AppOptions;
  readonly logger: Logger;
  readonly health: AppOptions['health'];
  /** Begins the background tasks. */
  start(): Promise<void>;
  /** Tells every running answer to end now. */
  endAnswers(): void;
  close(): Promise<void>;
}

const FORGET_EVERY_MS = 15_000;
const SAVE_EVERY_MS = 2000;
const CLOSING_MS = 8000;

/** Builds the whole service, by hand, in order. Nothing is connected when it returns; everything connects by itself. */
export async function createDeps(config: Config, overrides: Overrides = {}): Promise<Deps> {
  const clock = overrides.clock ?? { now: () => Date.now() };
  const logger =
    overrides.logger ?? createLogger({ service: 'chat-proxy', level: config.LOG_LEVEL, context: requestIds });
  const metrics = createMetrics({ service: 'chat-proxy' });
  const tell = createTell(logger, metrics);
  const closers = createClosers(logger);

  const stores = openStores(config, logger, closers);
  const { mongo, chatflows, sessions, messages, forgetting } = stores;
  const { auth, accounting } = connectNeighbours(config);
  closers.add('auth', auth);
  closers.add('accounting', accounting);
  const upstreams = closers.add('upstreams', connectUpstreams(config, tell));
  const answering = createAnswering(config, { stores, accounting, upstreams, clock, tell });

  const syncChatflows = createSyncChatflows({
    catalogues: upstreams.catalogues,
    chatflows,
    clock,
    tell,
    mostDeletedPercent: config.SYNC_MAX_DELETED_PERCENT,
  });
  const forgetUpstream = createForgetUpstream({ forgetting, flowise: upstreams, clock });
  const readChatflows = createReadChatflows({ chatflows });
  const flows: AppFlows = {
    chat: { chat: answering.chat, balance: (caller) => accounting.balance(caller), stream: streamOf(config, logger) },
    login: createLogIn({ auth }),
    sessions: {
      read: createReadConversations({ sessions, messages }),
      remove: createDeleteConversations({ sessions, messages, forgetting, clock }),
    },
    chatflows: readChatflows,
    admin: { sync: syncChatflows, read: readChatflows, assignments: createAssignments({ chatflows, auth, clock }) },
  };
  const health = createHealth({ service: 'chat-proxy', checks: { mongo: () => mongo.ping() } });
  const schedule = closers.add('schedule', createSchedule());

  return {
    logger,
    health,
    app: {
      ...(await appSettings(config)),
      health,
      logger,
      flows,
      observe: watch(metrics, answering),
      metrics: () => metrics.text(),
    },
    async start() {
      if (config.MIGRATE_ON_START) {
        await mongo.connected;
        await runMigrations(mongo.db());
      }
      startTasks({ config, schedule, answering, stores, tell }, { syncChatflows, forgetUpstream });
    },
    endAnswers: answering.endAnswers,
    async close() {
      answering.endAnswers();
      await answering.idle();
      await closers.closeAll(CLOSING_MS);
      await logger.close();
    },
  };
}

interface Working {
  readonly config: Config;
  readonly schedule: Schedule;
  readonly answering: ReturnType<typeof createAnswering>;
  readonly stores: Stores;
  readonly tell: Tell;
}

/** What goes on beside the requests; leftovers of an earlier life are looked at right away. */
function startTasks(
  { config, schedule, answering, stores, tell }: Working,
  flows: { syncChatflows: () => Promise<unknown>; forgetUpstream: () => Promise<void> },
): void {
  const { keeper, settler, saveLater } = answering;
  const failed = (task: Facts['background_failed']['task'], error: unknown) =>
    tell('background_failed', { task, reason: String(error) });
  const every = (task: Facts['background_failed']['task'], everyMs: number, work: () => Promise<unknown>) =>
    schedule.start({ everyMs, work, failed: (error) => failed(task, error), now: true });

  every('renew', config.HOLD_RENEW_INTERVAL, () => keeper.renew());
  every('checkpoint', config.CHECKPOINT_INTERVAL, () => keeper.note());
  every('leftovers', config.LEFTOVERS_INTERVAL, () => settler.tick());
  every('messages', SAVE_EVERY_MS, () => saveLater.tick());
  every('forget', FORGET_EVERY_MS, flows.forgetUpstream);
  if (config.SYNC_INTERVAL > 0) every('sync', config.SYNC_INTERVAL, flows.syncChatflows);
  if (!config.SYNC_ON_START) return;
  // Right after the start the database may still be on its way.
  void stores.mongo.connected.then(flows.syncChatflows).catch((error: unknown) => failed('sync', error));
}

const connectNeighbours = (config: Config) => ({
  accounting: accountingClient({
    baseUrl: config.ACCOUNTING_API_URL,
    timeoutMs: config.ACCOUNTING_TIMEOUT,
    connections: config.ACCOUNTING_CONNECTIONS,
    token: accountingToken(config.JWT_SERVICE_SECRET),
  }),
  auth: authClient({ baseUrl: config.AUTH_API_URL, timeoutMs: config.AUTH_TIMEOUT }),
});

const streamOf = (config: Config, logger: Logger): AppFlows['chat']['stream'] => ({
  heartbeatMs: config.HEARTBEAT_INTERVAL,
  clientStallMs: config.CLIENT_STALL_TIMEOUT,
  failed: ({ code, detail, cause }) => logger.warn('an answer broke off', { code, detail, cause }),
});

async function appSettings(config: Config) {
  const { verifyAccess } = createVerifier({
    keys: config.JWT_ACCESS_SECRET,
    issuer: config.JWT_ISSUER,
    audience: 'chat-proxy',
    profile: config.JWT_CLAIMS_PROFILE,
  });
  return {
    version: await ownVersion(),
    authenticate: createAuthenticator({ verifyAccess }),
    allowedOrigins: config.ALLOWED_ORIGINS,
    trustProxyHops: config.TRUST_PROXY_HOPS,
    production: config.NODE_ENV === 'production',
    ...(config.METRICS_TOKEN && { metricsToken: config.METRICS_TOKEN.reveal() }),
  };
}

/** Puts the request under way into each of its log lines. */
function requestIds(): Record<string, string> | undefined {
  const ids = requestContext.get();
  return ids && { requestId: ids.requestId, ...(ids.userId !== undefined && { userId: ids.userId }) };
}

/** The version of this package; it lies at the same distance from `src` and from `dist`. */
async function ownVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
