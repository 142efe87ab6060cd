import type { ObserveRequest } from '@tollgate/http-kit';
import type { Connections } from '@tollgate/http-kit/client';
import {
  createRequestObserver,
  type Metrics,
  type PoolFigures,
  watchDependencies,
  watchPools,
} from '@tollgate/telemetry';
import type { AppOptions } from '../app.ts';
import { JOURNAL_DRIFTS, type JournalDrift } from '../domain/facts.ts';
import type { Upstreams } from './upstream.ts';
import type { JournalFigures } from '../flows/answers/measure-journal.ts';

/** Seconds; a streamed answer takes minutes. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300];
const FIRST_PART_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const MOST_UPSTREAMS = 102;
const BREAKER = { closed: 0, 'half-open': 1, open: 2 };
const MILLISECONDS = 1000;

type Breaker = { readonly state: keyof typeof BREAKER };

export interface Watched {
  readonly health: AppOptions['health'];
  readonly keeper: { readonly running: number };
  readonly settler: { readonly waiting: number; readonly parked: number; lagMs(): number };
  readonly saveLater: { readonly waiting: number };
  readonly journal: { readonly figures: JournalFigures };
  readonly comparer: { drifting(how: JournalDrift): number };
  readonly recordings: { readonly bytes: number };
  readonly sockets: { readonly size: number };
  readonly reports: { readonly waiting: number };
  readonly revocations: { ageSeconds(): number };
  readonly accounting: {
    readonly breaker: Breaker;
    connections(): Readonly<Record<'opening' | 'running', Connections>>;
  };
  readonly auth: { connections(): Connections };
  readonly upstreams: Pick<Upstreams, 'servers' | 'connections'>;
  readonly mongo: { pool(): Connections };
}

/** Registers what the service shows of its inside, and returns the observer of its requests. */
export function watch(metrics: Metrics, watched: Watched): ObserveRequest {
  const { revocations, upstreams, accounting, health } = watched;
  watchDependencies(metrics, health);
  watchPools(metrics, () => poolsOf(watched));
  watchQueues(metrics, watched);
  const breakerOf = ({ state }: Breaker) => BREAKER[state];
  metrics.gauge({
    name: 'tollgate_revocations_age_seconds',
    help: 'Since auth has last told which access tokens were revoked; without it they go on working until they expire',
    read: () => revocations.ageSeconds(),
  });
  metrics.gauge({
    name: 'tollgate_upstream_breaker',
    help: 'Whether an AI server is asked (0), is to be tried by one question (1), or is left alone because it has failed (2)',
    labels: { upstream: { atMost: MOST_UPSTREAMS } },
    readEach: () =>
      [...upstreams.servers].map(([upstream, { breaker }]) => ({ labels: { upstream }, value: breakerOf(breaker) })),
  });
  metrics.gauge({
    name: 'tollgate_accounting_breaker',
    help: 'Whether accounting is asked (0), is to be tried by one request (1), or is left alone because it has failed (2): then new answers are refused',
    read: () => breakerOf(accounting.breaker),
  });
  return createRequestObserver(metrics, BUCKETS);
}

/** What runs and what waits in this process, and in the journal of all of them. */
function watchQueues(metrics: Metrics, { keeper, settler, saveLater, journal, ...watched }: Watched): void {
  metrics.gauge({
    name: 'tollgate_streams_running',
    help: 'Answers under way, each with an open hold',
    read: () => keeper.running,
  });
  metrics.gauge({
    name: 'tollgate_leftover_holds',
    help: 'Holds whose end accounting has not acknowledged',
    read: () => settler.waiting,
  });
  metrics.gauge({
    name: 'tollgate_parked_holds',
    help: 'Holds whose end accounting refuses; somebody has to look at them',
    read: () => settler.parked,
  });
  metrics.gauge({
    name: 'tollgate_settle_lag_seconds',
    help: 'How long the end of a hold waits for accounting to acknowledge it, of the one that waits longest',
    read: () => settler.lagMs() / MILLISECONDS,
  });
  metrics.gauge({
    name: 'tollgate_unsaved_messages',
    help: 'Answers the database could not take yet',
    read: () => saveLater.waiting,
  });
  metrics.gauge({
    name: 'tollgate_journal_rows',
    help: 'Holds that the journal of all instances knows, of running answers and of ended ones',
    read: () => journal.figures.rows,
  });
  metrics.gauge({
    name: 'tollgate_journal_overdue_seconds',
    help: 'How long a row of the journal has been without an owner, of the one that waits longest to be taken over',
    read: () => journal.figures.overdueMs / MILLISECONDS,
  });
  metrics.gauge({
    name: 'tollgate_journal_drift',
    help: 'Rows of the journal that do not fit to what accounting says of their holds, as the last comparisons found them',
    labels: { how: JOURNAL_DRIFTS },
    readEach: () => JOURNAL_DRIFTS.map((how) => ({ labels: { how }, value: watched.comparer.drifting(how) })),
  });
  metrics.gauge({
    name: 'tollgate_sockets_open',
    help: 'WebSockets that are open',
    read: () => watched.sockets.size,
  });
  metrics.gauge({
    name: 'tollgate_recordings_bytes',
    help: 'Memory of answers that may be read again',
    read: () => watched.recordings.bytes,
  });
  metrics.gauge({
    name: 'tollgate_audit_reports_waiting',
    help: 'Refusals that auth is still to be told of',
    read: () => watched.reports.waiting,
  });
}

function poolsOf({ accounting, auth, upstreams, mongo }: Watched): PoolFigures[] {
  const { opening, running } = accounting.connections();
  return [
    { pool: 'mongo', ...mongo.pool() },
    { pool: 'accounting-opening', ...opening },
    { pool: 'accounting-running', ...running },
    { pool: 'auth', ...auth.connections() },
    ...upstreams.connections().map(([name, figures]) => ({ pool: `upstream-${name}`, ...figures })),
  ];
}

/** How long AI servers take to begin their answers; told of each answer once. */
export function createFirstPartObserver(metrics: Metrics): (upstream: string, ms: number) => void {
  const seconds = metrics.histogram({
    name: 'tollgate_first_part_seconds',
    help: 'From a question to the first part of its answer, as the AI server takes it',
    buckets: FIRST_PART_BUCKETS,
    labels: { upstream: { atMost: MOST_UPSTREAMS } },
  });
  return (upstream, ms) => seconds.observe(ms / MILLISECONDS, { upstream });
}
