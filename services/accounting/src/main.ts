import { runService } from '@tollgate/http-kit/lifecycle';

// Loaded while signals are already heard.
await runService(async () => {
  const { createHttpServer } = await import('@tollgate/http-kit');
  const { buildApp } = await import('./app.ts');
  const { readAccountingConfig } = await import('./config.ts');
  const { createDeps } = await import('./deps.ts');

  const config = readAccountingConfig();
  const deps = await createDeps(config);
  const { app, health } = buildApp(deps);
  return {
    server: createHttpServer(app, { production: config.isProduction }),
    ...config.listen,
    ...config.shutdown,
    health,
    logger: deps.logger,
    start: deps.start,
    close: deps.close,
  };
});
