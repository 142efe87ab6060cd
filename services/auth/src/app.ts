import type { RequestListener } from 'node:http';
import { callerOfKey, createAuthenticator, createHealth, type Health, type Route } from '@tollgate/http-kit';
import { createExpressApp } from '@tollgate/http-kit/express';
import { createRequestObserver, watchDependencies } from '@tollgate/telemetry';
import type { Deps } from './deps.ts';
import { accountRoutes } from './routes/accounts.ts';
import { adminUserRoutes } from './routes/admin-users.ts';
import { apiKeyRoutes } from './routes/api-keys.ts';
import { auditRoutes } from './routes/audit.ts';
import { internalRoutes } from './routes/internal.ts';
import { cookieNames } from './routes/origin.ts';
import { secondFactorRoutes } from './routes/second-factors.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { testingRoutes } from './routes/testing.ts';
import { tokenKeyRoutes } from './routes/token-keys.ts';
import { workspaceRoutes } from './routes/workspaces.ts';

/** The HTTP application of the auth service. */
export function buildApp(deps: Deps): { app: RequestListener; health: Health } {
  const { config, logger, metrics, version } = deps;
  const health = createHealth({ service: 'auth', checks: deps.checks });
  watchDependencies(metrics, health);
  const app = createExpressApp({
    service: 'auth',
    version,
    routes: routesOf(deps),
    authenticate: authenticateWith(deps),
    health,
    logger,
    metrics: () => metrics.text(),
    ...(deps.tracer && { tracer: deps.tracer }),
    observe: createRequestObserver(metrics, BUCKETS),
    // Each operation has a count of its own: strangers who try keys make a service ask often, and must not keep it from
    // hearing which tokens were revoked.
    limit: async ({ caller, route }) =>
      caller?.kind === 'service' ? deps.callsPerService?.consume(`${caller.service}:${route.operation.id}`) : undefined,
    refused: deps.refused,
    allowedOrigins: config.allowedOrigins,
    trustProxyHops: config.trustProxyHops,
    production: config.isProduction,
    ...(config.metricsTokens && { metricsTokens: config.metricsTokens.map(({ secret }) => secret.reveal()) }),
  });
  return { app, health };
}

function routesOf({ config, flows, keySet, clock }: Deps): Route[] {
  const cookies = {
    names: cookieNames(config.isProduction),
    isSecure: config.isProduction,
    allowedOrigins: config.allowedOrigins,
  };
  return [
    ...sessionRoutes(flows, cookies),
    ...secondFactorRoutes(flows, cookies),
    ...accountRoutes(flows),
    ...adminUserRoutes(flows),
    ...apiKeyRoutes(flows, clock),
    ...auditRoutes(flows),
    ...internalRoutes(flows),
    ...workspaceRoutes(flows),
    ...(keySet ? tokenKeyRoutes(keySet) : []),
    ...(config.hasTestingRoutes ? testingRoutes(flows) : []),
  ];
}

function authenticateWith({ config, flows, verifyAccess, verifyService }: Deps) {
  const authenticate = createAuthenticator({
    verifyAccess,
    verifyService,
    // Not remembered here: the database is asked at every use.
    async verifyKey(key, ip) {
      const verified = await flows.verifyApiKey(key, ip);
      return verified && callerOfKey(verified);
    },
    cookie: { name: cookieNames(config.isProduction).access, allowedOrigins: config.allowedOrigins },
  });
  return async (request: Parameters<typeof authenticate>[0]) => {
    const caller = await authenticate(request);
    if (caller?.kind !== 'user') return caller;
    // A key has no session, and was just looked up.
    if (!caller.apiKey) await flows.requireLiveSession(caller);
    const workspaceId = request.headers['x-workspace-id'];
    return workspaceId === undefined ? caller : flows.actInWorkspace(caller, String(workspaceId));
  };
}

/** Upper bounds in seconds, around what a lookup and what a bcrypt hash take. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
