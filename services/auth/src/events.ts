import { createEvents, type Logger, type Metrics } from '@tollgate/telemetry';
import { AUDIT_ACTIONS } from './domain/audit-event.ts';
import type { Clock, Events } from './ports.ts';
import type { AuditLog } from './store/audit-log.ts';

/** The business facts of this service: each is counted, logged, and written to the audit log. */
export function createAuditedEvents(auditLog: AuditLog, logger: Logger, metrics: Metrics, clock: Clock): Events {
  const emit = createEvents(logger, metrics, {
    auth_event: {
      help: 'What happened to accounts and sessions',
      labels: { action: AUDIT_ACTIONS },
      fields: ['actorId', 'targetId', 'ip'],
    },
  });
  return {
    async record(event) {
      await auditLog.append(event, new Date(clock.now()));
      const { action, actorId, targetId, origin } = event;
      emit('auth_event', { action, actorId, targetId, ip: origin?.ip });
    },
  };
}
