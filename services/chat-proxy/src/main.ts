import { runService } from '@tollgate/http-kit';
import { buildApp } from './app.ts';
import { readEnvironment } from './config.ts';
import { createDeps } from './deps.ts';

const config = readEnvironment();
const deps = await createDeps(config);
const app = await buildApp(deps.app);
await app.ready();

await runService({
  server: app.server,
  host: config.HOST,
  port: config.PORT,
  health: deps.health,
  logger: deps.logger,
  acceptMs: config.SHUTDOWN_ACCEPT,
  drainMs: config.SHUTDOWN_DRAIN,
  draining: deps.draining,
  endAnswers: deps.endAnswers,
  close: deps.close,
});
await deps.start();
