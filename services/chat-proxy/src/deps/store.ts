import { randomUUID } from 'node:crypto';
import { type Closers, inSpan, reachable } from '@tollgate/http-kit';
import { type Mongo, openMongo, troubleOf } from '@tollgate/mongo-kit';
import type { Logger } from '@tollgate/telemetry';
import type { Blobs } from '../ports.ts';
import type { Config } from '../config.ts';
import { chatflowsIn } from '../store/chatflows/chatflows.ts';
import { erasuresIn } from '../store/erasures.ts';
import { blobsIn } from '../store/files/blobs.ts';
import { filesIn } from '../store/files/files.ts';
import { quotasIn } from '../store/files/quotas.ts';
import { thumbnailsIn } from '../store/files/thumbnails.ts';
import { leadsIn } from '../store/flowise/leads.ts';
import { forgettingIn } from '../store/forgetting.ts';
import { messagesIn } from '../store/messages.ts';
import { DATABASE } from '../store/migrations.ts';
import { openHolds } from '../store/open-holds.ts';
import { sessionsIn } from '../store/sessions.ts';
import { turnsIn } from '../store/turns.ts';
import { strikesIn } from '../store/strikes.ts';
import { openStreamStores } from './stream-stores.ts';

/** The collections of this service. It knows this process by a name that no other one has. */
export function openStores(config: Config, logger: Logger, closers: Closers) {
  const mongo = traced(
    closers.add(
      'mongo',
      openMongo({
        url: config.MONGODB_URI.reveal(),
        defaultDatabase: DATABASE,
        operationTimeoutMs: config.MONGO_OPERATION_TIMEOUT,
        poolSize: config.MONGO_POOL_SIZE,
        onFault: (error) => logger.warn('the database cannot be reached', { error }),
      }),
    ),
  );
  const { DEFAULT_WORKSPACE_ID: defaultWorkspaceId } = config;
  const instance = randomUUID();
  return {
    mongo,
    chatflows: reachable(chatflowsIn(mongo, { freshMs: config.CHATFLOW_FRESHNESS, defaultWorkspaceId }), troubleOf),
    sessions: reachable(sessionsIn(mongo, defaultWorkspaceId), troubleOf),
    messages: reachable(messagesIn(mongo), troubleOf),
    forgetting: reachable(forgettingIn(mongo), troubleOf),
    erasures: reachable(erasuresIn(mongo), troubleOf),
    turns: reachable(turnsIn(mongo), troubleOf),
    journal: reachable(openHolds(mongo, instance, defaultWorkspaceId), troubleOf),
    ...openStreamStores(mongo, instance, config),
    leads: reachable(leadsIn(mongo), troubleOf),
    files: reachable(filesIn(mongo, defaultWorkspaceId), troubleOf),
    blobs: reachableBlobs(blobsIn(mongo)),
    quotas: reachable(quotasIn(mongo), troubleOf),
    thumbnails: reachable(thumbnailsIn(mongo), troubleOf),
    strikes: reachable(strikesIn(mongo), troubleOf),
  };
}

/** Two of its functions are not asynchronous: one needs no database, one is read piece by piece. */
function reachableBlobs(blobs: Blobs): Blobs {
  const { newStorage, read } = blobs;
  return { ...reachable(blobs, troubleOf), newStorage, read };
}

/** The database as steps of the trace under way, without what was asked. */
const traced = (mongo: Mongo): Mongo => ({
  ...mongo,
  run: (operation) => inSpan(['mongodb', 'client', { 'db.system.name': 'mongodb' }], () => mongo.run(operation)),
});

export type Stores = ReturnType<typeof openStores>;
