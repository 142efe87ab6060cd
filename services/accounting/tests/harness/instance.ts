import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createHttpServer } from '@tollgate/http-kit';
import { createLogger, type Logger } from '@tollgate/telemetry';
import { buildApp } from '../../src/app.ts';
import { readAccountingConfig } from '../../src/config.ts';
import { createDeps, type Deps } from '../../src/deps.ts';

/** One running accounting service; several may share a database. */
export type Instance = { url: string; deps: Deps; stop: () => Promise<void> };

/** Starts the service on a port of the system's choice, without its schedule. */
export async function startInstance(
  env: Readonly<Record<string, string>>,
  logger: Logger = createLogger({ service: 'accounting', level: 'silent' }),
): Promise<Instance> {
  const deps = await createDeps(readAccountingConfig(env), { logger });
  const server = createHttpServer(buildApp(deps).app, { production: false }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    deps,
    url: `http://127.0.0.1:${port}`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await deps.close();
    },
  };
}
