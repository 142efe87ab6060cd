import { type AuditReports, createRounds, type Rounds } from '@tollgate/http-kit';
import { type createHeartbeats, type Metrics, type PoolFigures, watchPools } from '@tollgate/telemetry';
import { createMeasureMail } from './flows/measure-mail.ts';
import type { Ports } from './ports.ts';

type Figures = Omit<PoolFigures, 'pool'>;
type Watched = {
  mongo: { pool(): Figures };
  passwords: { pool(): Figures };
  reports: Pick<AuditReports, 'waiting'>;
};

/** Registers what the service shows of its inside. */
export function watchInside(metrics: Metrics, { mongo, passwords, reports }: Watched): void {
  watchPools(metrics, () => [
    { pool: 'mongo', ...mongo.pool() },
    { pool: 'passwords', ...passwords.pool() },
  ]);
  metrics.gauge({
    name: 'tollgate_audit_reports_waiting',
    help: 'Refusals that are still to be put down in the audit log',
    read: () => reports.waiting,
  });
}

const MEASURE_EVERY_MS = 10_000;

type Round = { beat: ReturnType<typeof createHeartbeats>; failed: (error: unknown) => void };

/** Looks at the mails that wait. */
export function measuringRounds(
  metrics: Metrics,
  ports: Pick<Ports, 'mailQueue' | 'clock'>,
  { beat, failed }: Round,
): Rounds {
  const waiting = metrics.gauge({ name: 'tollgate_mails_waiting', help: 'Mails that are not sent yet, 1,000 at most' });
  const oldest = metrics.gauge({
    name: 'tollgate_mail_oldest_seconds',
    help: 'How long a mail waits to be sent, of the one that waits longest',
  });
  const measureMail = createMeasureMail(ports, (depth) => {
    waiting.set(depth.waiting);
    oldest.set(depth.oldestSeconds);
  });
  return createRounds(measureMail, {
    everyMs: MEASURE_EVERY_MS,
    failed,
    finished: beat('measure-mail', MEASURE_EVERY_MS),
  });
}
