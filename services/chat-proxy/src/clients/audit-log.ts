import { auth as operations } from '@tollgate/contracts';
import type { AuditReportOptions } from '@tollgate/http-kit';
import { createClient } from '@tollgate/http-kit/client';

const TIMEOUT_MS = 5000;
const CONNECTIONS = 2;
const { reportAudit } = operations;

/** Auth's audit log, written to with this service's own token. */
export function auditLogClient(options: { baseUrl: string; token: () => Promise<string> }): {
  send: AuditReportOptions['send'];
  close(): Promise<void>;
} {
  const client = createClient({ reportAudit }, { ...options, timeoutMs: TIMEOUT_MS, connections: CONNECTIONS });
  return {
    send: async (batch) => void (await client.reportAudit({ body: { reports: [...batch] } })),
    close: () => client.close(),
  };
}
