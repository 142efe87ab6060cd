import { type AuditReports, type Closers, createAuditReports, createRounds, reachable } from '@tollgate/http-kit';
import { type Mongo, openMongo, troubleOf } from '@tollgate/mongo-kit';
import type { createHeartbeats, Logger } from '@tollgate/telemetry';
import { createAnchorFile } from './clients/anchor-file.ts';
import type { Config } from './config.ts';
import { type AuditAnchor, createAnchorKeys } from './domain/audit-anchor.ts';
import { createLineKeys } from './domain/audit-line.ts';
import type { AuditedEvents } from './events.ts';
import { createVerifyAudit } from './flows/audit/verify-audit.ts';
import type { Flows } from './flows.ts';
import type { Clock } from './ports.ts';
import type { AuditPorts } from './ports/audit.ts';
import { createAlerts } from './store/audit/alerts.ts';
import { createAuditAnchors } from './store/audit/audit-anchors.ts';
import { createAuditLog } from './store/audit/audit-log.ts';
import { DATABASE } from './store/migrations.ts';

/** What writes, proves and watches the audit log. */
export function createAuditPorts({ audit }: Pick<Config, 'audit'>, mongo: Mongo): AuditPorts {
  const lineKeys = createLineKeys(audit.chainKeys);
  return {
    lineKeys,
    anchorKeys: createAnchorKeys(audit.anchorKeys),
    auditLog: reachable(createAuditLog(mongo, lineKeys), troubleOf),
    anchors: reachable(createAuditAnchors(mongo), troubleOf),
    alerts: reachable(createAlerts(mongo), troubleOf),
    keepAnchor: audit.anchorFile === undefined ? undefined : createAnchorFile(audit.anchorFile),
  };
}

type Watched = {
  flows: Pick<Flows, 'takeAnchor' | 'raiseAlerts' | 'takeReports' | 'verifyAudit'>;
  events: AuditedEvents;
};
type Surroundings = { closers: Closers; logger: Logger; beat: ReturnType<typeof createHeartbeats> };

/** What goes on beside the requests for the audit log: anchors, alerts, and the refusals of this service. */
export function createAuditRounds(
  { audit, alerts }: Pick<Config, 'audit' | 'alerts'>,
  { flows, events }: Watched,
  { closers, logger, beat }: Surroundings,
): { start(): void; refused: AuditReports['refused']; reports: Pick<AuditReports, 'waiting'> } {
  const failed = (error: unknown) => logger.warn('a round of the audit log failed and will be tried again', { error });
  const every = (task: string, everyMs: number, turn: () => Promise<unknown>) =>
    createRounds(turn, { everyMs, failed, finished: beat(task, everyMs) });
  const rounds = [
    every('take-anchor', audit.anchorMs, () => flows.takeAnchor({ youngestMs: audit.anchorMs / 2 })),
    every('raise-alerts', alerts.everyMs, flows.raiseAlerts),
    every('verify-audit', audit.verifyMs, async () =>
      events.tellVerified(await flows.verifyAudit({ mostLines: audit.verifyLines })),
    ),
  ];
  closers.addClose('audit rounds', () => Promise.all(rounds.map((round) => round.close())));
  const reports = createAuditReports({
    send: (batch) => flows.takeReports('auth', batch),
    dropped: events.tellDropped,
    failed,
  });
  closers.add('refusals', reports);
  return {
    refused: reports.refused,
    reports,
    start() {
      for (const round of [...rounds, reports]) round.start();
    },
  };
}

/** The part of the service that `pnpm audit:verify` needs: it reads. */
export async function createAuditor(config: Config, clock: Clock = { now: () => Date.now() }) {
  const { promise: unreachable, reject } = Promise.withResolvers<never>();
  const mongo = openMongo({ url: config.mongoUrl.reveal(), defaultDatabase: DATABASE, onFault: reject });
  try {
    await Promise.race([mongo.connected, unreachable]);
  } catch (error) {
    await mongo.close();
    throw error;
  }
  const verifyAudit = createVerifyAudit({ ...createAuditPorts(config, mongo), clock });
  return {
    verify: (scope: { chain?: string | undefined; kept?: readonly AuditAnchor[] | undefined }) => verifyAudit(scope),
    close: () => mongo.close(),
  };
}
