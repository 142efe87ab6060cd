import type { ObserveRequest } from '@tollgate/http-kit';
import type { Metrics } from '@tollgate/telemetry';

/** Seconds; a streamed answer takes minutes. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300];
const MOST_ROUTES = 100;
const MOST_UPSTREAMS = 102;
const BREAKER = { closed: 0, 'half-open': 1, open: 2 };

export interface Watched {
  readonly keeper: { readonly running: number };
  readonly settler: { readonly waiting: number; readonly parked: number; lagMs(): number };
  readonly saveLater: { readonly waiting: number };
  readonly revocations: { ageSeconds(): number };
  readonly servers: ReadonlyMap<string, { readonly breaker: { readonly state: keyof typeof BREAKER } }>;
}

/** Registers what the service shows of its inside, and returns the observer of its requests. */
export function watch(metrics: Metrics, { keeper, settler, saveLater, revocations, servers }: Watched): ObserveRequest {
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
    help: 'Those of them whose end accounting refuses',
    read: () => settler.parked,
  });
  metrics.gauge({
    name: 'tollgate_settle_lag_seconds',
    help: 'How long the oldest of them waits',
    read: () => settler.lagMs() / 1000,
  });
  metrics.gauge({
    name: 'tollgate_unsaved_messages',
    help: 'Answers the database could not take yet',
    read: () => saveLater.waiting,
  });
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
      [...servers].map(([upstream, { breaker }]) => ({ labels: { upstream }, value: BREAKER[breaker.state] })),
  });
  const durations = metrics.histogram({
    name: 'tollgate_http_request_seconds',
    help: 'Time from request to the end of the answer',
    buckets: BUCKETS,
    labels: {
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      route: { atMost: MOST_ROUTES },
      status: { atMost: MOST_ROUTES },
    },
  });
  return ({ method, route, status, seconds }) =>
    durations.observe(seconds, { method: method as 'GET', route, status: String(status) }); // the metric maps others to "other"
}
