import { randomBytes } from 'node:crypto';
import type { ServiceName } from '@tollgate/contracts';
import { createLogger, type MetricRow } from '@tollgate/telemetry';
import { serviceEnvironments } from '@tollgate/test-kit/service-environments';
import { buildApp as buildAccounting } from '../../services/accounting/src/app.ts';
import { readAccountingConfig } from '../../services/accounting/src/config.ts';
import { createDeps as createAccountingDeps } from '../../services/accounting/src/deps.ts';
import { buildApp as buildAuth } from '../../services/auth/src/app.ts';
import { readAuthConfig } from '../../services/auth/src/config.ts';
import { createDeps as createAuthDeps } from '../../services/auth/src/deps.ts';
import { readEnvironment } from '../../services/chat-proxy/src/config.ts';
import { createDeps as createProxyDeps } from '../../services/chat-proxy/src/deps.ts';

/** A metric and the services that have it. */
export type RegisteredMetric = MetricRow & Readonly<{ services: readonly ServiceName[] }>;

const NOWHERE = 'http://127.0.0.1:9';
const secret = (): string => randomBytes(48).toString('base64url');

/** An installation whose parts are all configured and none of which is there: a service is built without them. */
const environments = () =>
  serviceEnvironments({
    ports: { auth: 9, accounting: 9, chatProxy: 9 },
    secrets: {
      access: secret(),
      refresh: secret(),
      service: secret(),
      pepper: secret(),
      tokenHash: secret(),
      mfaEncryption: secret(),
      ledgerSigning: secret(),
      auditChain: secret(),
      auditAnchor: secret(),
    },
    postgres: { service: 'postgres://x:x@127.0.0.1:9/x', owner: 'postgres://x:x@127.0.0.1:9/x' },
    mongo: { auth: 'mongodb://127.0.0.1:9/x', chatProxy: 'mongodb://127.0.0.1:9/x' },
    smtpUrl: 'smtp://127.0.0.1:9',
    flowise: { url: NOWHERE, apiKey: 'none' },
    openai: { url: NOWHERE, apiKey: 'none', models: ['none'] },
    test: { leaseSeconds: 60 },
  });

/** Builds the three services as they are built for work, and asks them what they measure. */
export async function registeredMetrics(): Promise<RegisteredMetric[]> {
  const env = environments();
  const logger = createLogger({ service: 'metrics', level: 'silent' });
  const auth = await createAuthDeps(readAuthConfig(env.auth), { logger });
  const accounting = await createAccountingDeps(readAccountingConfig(env.accounting), { logger });
  const proxy = await createProxyDeps(readEnvironment(env.chatProxy), { logger });
  buildAuth(auth);
  buildAccounting(accounting);
  const rows: [ServiceName, MetricRow[]][] = [
    ['auth', auth.metrics.describe()],
    ['chat-proxy', proxy.metrics.describe()],
    ['accounting', accounting.metrics.describe()],
  ];
  await Promise.all([auth.close(), accounting.close(), proxy.close()]);
  return merged(rows);
}

/** One row for a metric that is the same in several services; one each where they mean different things by it. */
function merged(rows: readonly [ServiceName, MetricRow[]][]): RegisteredMetric[] {
  const metrics = new Map<string, RegisteredMetric>();
  for (const [service, own] of rows)
    for (const row of own) {
      const key = JSON.stringify(row);
      const known = metrics.get(key);
      metrics.set(key, { ...row, services: [...(known?.services ?? []), service] });
    }
  return [...metrics.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
}
