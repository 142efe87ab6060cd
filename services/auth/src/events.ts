import { randomUUID } from 'node:crypto';
import { requestContext } from '@tollgate/http-kit';
import { createEvents, type Logger, type Metrics } from '@tollgate/telemetry';
import type { AuditAnchor } from './domain/audit-anchor.ts';
import { AUDIT_ACTIONS, type AuditAction, type AuditFacts, permittedFacts } from './domain/audit-event.ts';
import { type LineDraft, originFields } from './domain/audit-line.ts';
import { BREACHES, type BreachName } from './domain/breach-rules.ts';
import type { Clock, Events } from './ports.ts';
import type { AuditLog } from './ports/audit.ts';

type EventDeps = {
  auditLog: Pick<AuditLog, 'append'>;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  /** Whose chain takes what belongs to no other workspace. */
  defaultWorkspaceId: string;
};
export type AuditedEvents = Events & ReturnType<typeof tellers> & { tellVerified: ReturnType<typeof auditVerified> };

/**
 * The business facts of this service: each is written to the audit log, counted and logged. When the line cannot be written,
 * its request is answered with 503 although what it did stays done; what the line would have said is in the log then.
 */
export function createAuditedEvents({
  auditLog,
  clock,
  logger,
  metrics,
  defaultWorkspaceId,
}: EventDeps): AuditedEvents {
  const emit = emitter(logger, metrics);

  async function write(draft: LineDraft): Promise<void> {
    const { action, actorId, targetId, ip } = draft;
    try {
      await auditLog.append(draft);
    } catch (error) {
      emit('audit_line_lost', { action, line: JSON.stringify(draft) });
      throw error;
    }
    emit('auth_event', { action, actorId, targetId, ip });
  }

  /** What the list does not name stays out, and is not to stay unnoticed: the flow or the list is wrong. */
  function factsOf(action: AuditAction, facts: Readonly<Record<string, unknown>> = {}): AuditFacts {
    const kept = permittedFacts(action, facts);
    const left = Object.keys(facts).filter((name) => facts[name] !== undefined && !Object.hasOwn(kept, name));
    if (left.length > 0) emit('audit_fact_refused', { action, names: left.join(' ') });
    return kept;
  }

  const tellVerified = auditVerified(metrics);
  return {
    tellVerified,
    async record({ action, actorId, targetId, origin, workspaceId, facts }) {
      await write({
        eventId: randomUUID(),
        // Of the caller's token: what a flow does is done in the workspace that its caller is in.
        chain: workspaceId ?? requestContext.get()?.workspaceId ?? defaultWorkspaceId,
        at: new Date(clock.now()),
        action,
        service: 'auth',
        ...(actorId && { actorId }),
        ...(targetId && { targetId }),
        ...(origin && originFields(origin)),
        facts: factsOf(action, facts),
      });
    },
    async recordReport({ eventId, service, workspaceId, action, actorId, targetId, origin, facts }) {
      await write({
        eventId,
        chain: workspaceId ?? defaultWorkspaceId,
        at: new Date(clock.now()),
        action,
        service,
        actorId: actorId ?? `service:${service}`,
        ...(targetId !== undefined && { targetId }),
        ...originFields(origin),
        facts: factsOf(action, facts),
      });
    },
    ...tellers(emit),
  };
}

const emitter = (logger: Logger, metrics: Metrics) =>
  createEvents(logger, metrics, {
    auth_event: {
      help: 'What happened to accounts and sessions',
      labels: { action: AUDIT_ACTIONS },
      fields: ['actorId', 'targetId', 'ip'],
    },
    audit_line_lost: {
      // No label: with as many as there are actions its series begin with their first event, which an alert does not see.
      help: 'Lines that the audit log did not take',
      fields: ['action', 'line'],
      level: 'error',
    },
    audit_fact_refused: {
      help: 'Lines whose flow named facts that the list of its action does not',
      fields: ['action', 'names'],
      level: 'error',
    },
    audit_anchor: {
      help: 'Signed anchors of the audit log',
      fields: ['number', 'takenAt', 'previousHash', 'chains', 'hash', 'keyId', 'signature'],
    },
    alert_raised: {
      help: 'Attacks that were noticed',
      labels: { rule: BREACHES },
      fields: ['about', 'count'],
      level: 'warn',
    },
    reports_dropped: {
      help: 'Refusals that were not put down, because too many waited',
      fields: ['count'],
      level: 'error',
    },
  });

function auditVerified(metrics: Metrics): (report: { offenders: number }) => void {
  const faults = metrics.gauge({
    name: 'tollgate_audit_faults',
    help: 'Lines and anchors of the audit log that are not as they were written, as the last look at the newest of them found',
  });
  return ({ offenders }) => faults.set(offenders);
}

const tellers = (emit: ReturnType<typeof emitter>) => ({
  tellAnchor: ({ chains, ...anchor }: AuditAnchor) =>
    emit('audit_anchor', { ...anchor, chains: JSON.stringify(chains) }),
  tellAlert: (alert: { rule: BreachName; about: string; count: number }) => emit('alert_raised', alert),
  tellDropped: (count: number) => emit('reports_dropped', { count }),
});
