import { randomUUID } from 'node:crypto';
import { type Closers, reachable } from '@tollgate/http-kit';
import { openMongo, troubleOf } from '@tollgate/mongo-kit';
import type { Logger } from '@tollgate/telemetry';
import type { Config } from './config.ts';
import { chatflowsIn } from './store/chatflows.ts';
import { forgettingIn } from './store/forgetting.ts';
import { messagesIn } from './store/messages.ts';
import { DATABASE } from './store/migrations.ts';
import { openHolds } from './store/open-holds.ts';
import { sessionsIn } from './store/sessions.ts';
import { strikesIn } from './store/strikes.ts';
import { openStreamStores } from './stream-stores.ts';

/** The collections of this service. It knows this process by a name that no other one has. */
export function openStores(config: Config, logger: Logger, closers: Closers) {
  const mongo = closers.add(
    'mongo',
    openMongo({
      url: config.MONGODB_URI.reveal(),
      defaultDatabase: DATABASE,
      operationTimeoutMs: config.MONGO_OPERATION_TIMEOUT,
      poolSize: config.MONGO_POOL_SIZE,
      onFault: (error) => logger.warn('the database cannot be reached', { error }),
    }),
  );
  const { DEFAULT_WORKSPACE_ID: defaultWorkspaceId } = config;
  const instance = randomUUID();
  return {
    mongo,
    chatflows: reachable(chatflowsIn(mongo, { freshMs: config.CHATFLOW_FRESHNESS, defaultWorkspaceId }), troubleOf),
    sessions: reachable(sessionsIn(mongo, defaultWorkspaceId), troubleOf),
    messages: reachable(messagesIn(mongo), troubleOf),
    forgetting: reachable(forgettingIn(mongo), troubleOf),
    journal: reachable(openHolds(mongo, instance, defaultWorkspaceId), troubleOf),
    ...openStreamStores(mongo, instance, config),
    strikes: reachable(strikesIn(mongo), troubleOf),
  };
}

export type Stores = ReturnType<typeof openStores>;
