import { runService } from '@tollgate/http-kit/lifecycle';

// Loaded while signals are already heard.
await runService(async () => {
  const { buildApp } = await import('./app.ts');
  const { readEnvironment } = await import('./config.ts');
  const { createDeps } = await import('./deps.ts');

  const config = readEnvironment();
  const deps = await createDeps(config);
  const app = await buildApp(deps.app);
  await app.ready();
  return {
    server: app.server,
    host: config.HOST,
    port: config.PORT,
    health: deps.health,
    logger: deps.logger,
    acceptMs: config.SHUTDOWN_ACCEPT,
    drainMs: config.SHUTDOWN_DRAIN,
    closeMs: config.SHUTDOWN_CLOSE,
    start: deps.start,
    draining: deps.draining,
    endAnswers: deps.endAnswers,
    checkpoint: deps.checkpoint,
    close: deps.close,
  };
});
