import { auditLogClient } from '@tollgate/http-kit/audit-log';
import { type AuditReports, type Closers, createAuditReports } from '@tollgate/http-kit';
import { serviceToken } from '../clients/service-token.ts';
import type { Config } from '../config.ts';
import type { Tell } from '../domain/facts.ts';
import type { Clock } from '../ports.ts';

/** Brings refusals to auth's audit log; whoever takes them closes them. */
export function createRefusalReports(
  config: Config,
  { closers, tell, clock }: { closers: Closers; tell: Tell; clock: Clock },
): AuditReports {
  const client = auditLogClient({
    baseUrl: config.AUTH_API_URL,
    token: serviceToken(config.JWT_SERVICE_SECRET, 'auth', clock),
  });
  closers.add('audit log', client);
  return createAuditReports({
    send: client.send,
    dropped: (count) => tell('reports_dropped', { count }),
    failed: (error) => tell('background_failed', { task: 'reports', reason: String(error) }),
  });
}
