import { auth as operations } from '@tollgate/contracts';
import { createClient } from '../client.ts';
import type { AuditReportOptions } from './audit-reports.ts';

const TIMEOUT_MS = 5000;
const CONNECTIONS = 2;
const { reportAudit } = operations;

/**
 * Auth's audit log (`POST /api/internal/audit`), written to with the calling service's own token.
 * `send` rejects with an AppError when auth did not take the batch within 5 s.
 */
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
