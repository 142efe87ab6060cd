import type { RequestListener } from 'node:http';
import {
  createAuthenticator,
  createHealth,
  createSubjectReader,
  type Health,
  type ReadSubject,
  type Route,
} from '@tollgate/http-kit';
import { createExpressApp } from '@tollgate/http-kit/express';
import { createRequestObserver, watchDependencies } from '@tollgate/telemetry';
import type { Deps } from './deps.ts';
import { accountRoutes } from './routes/accounts.ts';
import { allocationRoutes } from './routes/allocations.ts';
import { creditRoutes } from './routes/credits.ts';
import { holdBatchRoutes } from './routes/hold-batches.ts';
import { holdRoutes } from './routes/holds.ts';
import { limitRoutes } from './routes/limits.ts';
import { paymentRoutes } from './routes/payments.ts';
import { pricingRoutes } from './routes/pricing.ts';
import { reportRoutes } from './routes/reports.ts';
import { streamingSessionRoutes } from './routes/streaming-sessions.ts';
import { tenantRoutes } from './routes/tenant.ts';
import { usageRoutes } from './routes/usage.ts';

/** The HTTP application of the accounting service. */
export function buildApp(deps: Deps): { app: RequestListener; health: Health } {
  const { config, logger, metrics, version, verifyAccess, verifyService, verifyKey, callsPerUser } = deps;
  const health = createHealth({ service: 'accounting-service', version, checks: deps.checks });
  watchDependencies(metrics, health);
  const callers = {
    verifyAccess,
    verifyService,
    ...(verifyKey && { verifyKey }),
    defaultWorkspaceId: config.rules.defaultWorkspaceId,
  };
  const app = createExpressApp({
    service: 'accounting',
    version,
    routes: routesOf(deps, createSubjectReader(callers)),
    authenticate: createAuthenticator(callers),
    health,
    logger,
    metrics: () => metrics.text(),
    ...(deps.tracer && { tracer: deps.tracer }),
    observe: createRequestObserver(metrics, BUCKETS),
    ...(deps.refused && { refused: deps.refused }),
    // Services call for many users; their own limit stands at the proxy.
    limit: async ({ caller }) => (caller?.kind === 'user' ? callsPerUser?.consume(caller.userId) : undefined),
    allowedOrigins: config.allowedOrigins,
    trustProxyHops: config.trustProxyHops,
    production: config.isProduction,
    ...(config.metricsTokens && { metricsTokens: config.metricsTokens.map(({ secret }) => secret.reveal()) }),
  });
  return { app, health };
}

const routesOf = ({ flows, ...deps }: Deps, subjectOf: ReadSubject): Route[] => [
  ...creditRoutes(flows),
  ...allocationRoutes(flows),
  ...paymentRoutes(flows),
  ...holdRoutes(flows),
  ...holdBatchRoutes(flows, { ...deps, subjectOf }),
  ...streamingSessionRoutes(flows),
  ...usageRoutes(flows),
  ...limitRoutes(flows),
  ...reportRoutes(flows),
  ...pricingRoutes(flows),
  ...accountRoutes(flows),
  ...tenantRoutes(flows),
];

/** Upper bounds in seconds, around what one statement and what a report take. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
