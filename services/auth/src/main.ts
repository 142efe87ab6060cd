import { createHttpServer, runService } from '@tollgate/http-kit';
import { buildApp } from './app.ts';
import { readAuthConfig } from './config.ts';
import { createDeps } from './deps.ts';

const config = readAuthConfig();
const deps = await createDeps(config);
const { app, health } = buildApp(deps);

await runService({
  server: createHttpServer(app, { production: config.isProduction }),
  ...config.listen,
  ...config.shutdown,
  health,
  logger: deps.logger,
  close: deps.close,
});
await deps.start();
