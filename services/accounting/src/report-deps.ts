import { auditLogClient } from '@tollgate/http-kit/audit-log';
import { type AuditReports, type Closers, createAuditReports, requestContext } from '@tollgate/http-kit';
import { UserId } from '@tollgate/contracts';
import type { Clock } from '@tollgate/jwt-claims';
import type { Logger, Metrics } from '@tollgate/telemetry';
import { serviceToken } from './clients/service-token.ts';
import type { Config } from './config.ts';
import type { Events } from './ports.ts';

type Surroundings = { closers: Closers; logger: Logger; metrics: Metrics; clock: Clock };

/** Brings refusals, corrections and exports to auth's audit log; undefined where no auth service is configured. */
export function createAuditReporting(
  config: Config,
  { closers, logger, metrics, clock }: Surroundings,
): AuditReports | undefined {
  if (config.auth.url === undefined) return undefined;
  const lost = metrics.counter({
    name: 'tollgate_reports_dropped_total',
    help: 'Refusals, corrections and exports that auth was not told, because too many waited',
  });
  const client = auditLogClient({
    baseUrl: config.auth.url,
    token: serviceToken(config.tokens.serviceKeys, 'auth', clock),
  });
  closers.add('audit log', client);
  const reports = createAuditReports({
    send: client.send,
    dropped: (count) => {
      lost.add(count);
      logger.error('reports for the audit log were dropped', { count });
    },
    failed: (error) => logger.warn('auth does not take reports for the audit log', { error }),
  });
  return closers.add('audit reports', reports);
}

const BY_STAFF: ReadonlySet<string> = new Set(['allocated', 'adjusted', 'revoked', 'refunded']);

/** What people do to other people's credits is told to the audit log as well; the ledger keeps it in any case. */
export const withReports = (events: Events, reports: AuditReports | undefined): Events => ({
  ...events,
  moved(fact) {
    events.moved(fact);
    const { kind, userId, credits, actor, from, to } = fact;
    if (!reports || !BY_STAFF.has(kind)) return;
    const actorId = UserId.safeParse(actor.slice(actor.indexOf(':') + 1)).data;
    const { workspaceId, requestId } = requestContext.get() ?? {};
    reports.add({
      action: 'credits.adjusted',
      ...(actorId && { actorId }),
      ...(workspaceId !== undefined && { workspaceId }),
      ...(requestId !== undefined && { requestId }),
      targetId: userId,
      facts: { operation: kind, credits, ...(from !== undefined && { from }), ...(to !== undefined && { to }) },
    });
  },
});
