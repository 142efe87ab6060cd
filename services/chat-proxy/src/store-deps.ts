import { randomUUID } from 'node:crypto';
import type { Closers } from '@tollgate/http-kit';
import type { Logger } from '@tollgate/telemetry';
import type { Config } from './config.ts';
import { chatflowsIn } from './store/chatflows.ts';
import { forgettingIn } from './store/forgetting.ts';
import { messagesIn } from './store/messages.ts';
import { openMongo } from './store/mongo.ts';
import { openHolds } from './store/open-holds.ts';
import { sessionsIn } from './store/sessions.ts';

export const DATABASE = 'tollgate_chat';

/** The collections of this service. The journal knows this process by a name that no other one has. */
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
  return {
    mongo,
    chatflows: chatflowsIn(mongo, { freshMs: config.CHATFLOW_FRESHNESS }),
    sessions: sessionsIn(mongo),
    messages: messagesIn(mongo),
    forgetting: forgettingIn(mongo),
    journal: openHolds(mongo, randomUUID()),
  };
}

export type Stores = ReturnType<typeof openStores>;
