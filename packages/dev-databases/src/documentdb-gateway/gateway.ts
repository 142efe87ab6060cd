import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';

import { createCatalog } from './catalog.ts';
import { serveConnection } from './connection.ts';
import type { Gateway } from './context.ts';
import { createCursors } from './cursors.ts';
import { startExpiry } from './expiry.ts';
import { createRetries } from './retries.ts';
import { createSessions } from './sessions.ts';
import { openStore } from './store.ts';
import { createWriteLocks } from './write-locks.ts';

const CONNECTIONS_AT_MOST = 2_000;

export type GatewaySettings = {
  /** PostgreSQL with the DocumentDB extension. */
  databaseUrl: string;
  /** 0 lets the operating system choose. */
  port: number;
  /** Version of the extension, for people. */
  version: string;
  /** Whether expired documents go by themselves; on demand they always can. */
  expires: boolean;
};

export type RunningGateway = { port: number; close(): Promise<void> };

/** Listens on 127.0.0.1 and speaks MongoDB's wire protocol to drivers and SQL to DocumentDB. */
export async function startGateway(settings: GatewaySettings): Promise<RunningGateway> {
  const store = openStore(settings.databaseUrl);
  const server = createServer();
  server.maxConnections = CONNECTIONS_AT_MOST;
  server.listen(settings.port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The system gave no port');

  const catalog = createCatalog(store);
  const gateway: Gateway = {
    store,
    catalog,
    cursors: createCursors(store),
    sessions: createSessions(store),
    retries: createRetries(),
    expiry: startExpiry(store, settings.expires),
    writeLocks: createWriteLocks(catalog),
    address: `127.0.0.1:${address.port}`,
    version: settings.version,
  };

  const open = new Map<Socket, Promise<void>>();
  let connections = 0;
  server.on('connection', (socket) => {
    connections += 1;
    const served = serveConnection(socket, gateway, connections).finally(() => open.delete(socket));
    open.set(socket, served);
  });

  return {
    port: address.port,
    close: async () => {
      server.close();
      for (const socket of open.keys()) socket.destroy();
      await Promise.allSettled(open.values());
      gateway.expiry.close();
      gateway.cursors.close();
      await gateway.sessions.close();
      await store.close();
    },
  };
}
