import type { AuditReports } from '@tollgate/http-kit';
import { type Metrics, type PoolFigures, watchPools } from '@tollgate/telemetry';

type Pools = { pools(): readonly PoolFigures[] };
type Watched = {
  postgres: Pools;
  models: Pools;
  reports: Pick<AuditReports, 'waiting'> | undefined;
};

/** Registers what the service shows of its inside. */
export function watchInside(metrics: Metrics, { postgres, models, reports }: Watched): void {
  watchPools(metrics, () => [...postgres.pools(), ...models.pools()]);
  metrics.gauge({
    name: 'tollgate_audit_reports_waiting',
    help: 'Refusals, corrections and exports that auth is still to be told of',
    read: () => reports?.waiting ?? 0,
  });
}
