import { runService } from '@tollgate/http-kit/lifecycle';

// Loaded while signals are already heard.
await runService(async () => {
  const { createHttpServer } = await import('@tollgate/http-kit');
  const { buildApp } = await import('./app.ts');
  const { readAuthConfig } = await import('./config.ts');
  const { createDeps } = await import('./deps.ts');

  const config = readAuthConfig();
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
