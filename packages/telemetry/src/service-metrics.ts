import type { Metrics } from './metrics.ts';

const MOST_ROUTES = 150;
const MOST_CODES = 100;
const MOST_TASKS = 40;
const MOST_POOLS = 120;
const MOST_DEPENDENCIES = 10;
const MILLISECONDS = 1000;
const STATUSES = 100;

type Observed = Readonly<{ method: string; route: string; status: number; seconds: number; failure?: string }>;

/** Rate, errors and duration of each route; `buckets` are upper bounds in seconds. */
export function createRequestObserver(metrics: Metrics, buckets: readonly number[]): (observed: Observed) => void {
  const durations = metrics.histogram({
    name: 'tollgate_http_request_seconds',
    help: 'Time from request to the end of the answer',
    buckets,
    labels: {
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      route: { atMost: MOST_ROUTES },
      status: { atMost: STATUSES },
    },
  });
  const errors = metrics.counter({
    name: 'tollgate_http_errors_total',
    help: 'Requests that were answered with an error, by its code',
    labels: { code: { atMost: MOST_CODES } },
  });
  // Those that an alert waits for: the first one must be a rise, and not a birth.
  for (const code of ['internal', 'storage_full', 'dependency_unavailable']) errors.add(0, { code });

  return ({ method, route, status, seconds, failure }) => {
    durations.observe(seconds, { method: method as 'GET', route, status: String(status) }); // the metric maps others to "other"
    if (failure !== undefined) errors.add(1, { code: failure });
  };
}

type Checks = Readonly<{ ready(): Promise<{ readonly checks: Readonly<Record<string, string>> }> }>;

/** What readiness asks for, asked at each scrape as a load balancer asks. */
export function watchDependencies(metrics: Metrics, health: Checks): void {
  metrics.gauge({
    name: 'tollgate_dependency_up',
    help: 'Whether a check of readiness passes (1) or fails (0)',
    labels: { dependency: { atMost: MOST_DEPENDENCIES } },
    async readEach() {
      const { checks } = await health.ready();
      return Object.entries(checks).map(([dependency, state]) => ({
        labels: { dependency },
        value: state === 'ok' ? 1 : 0,
      }));
    },
  });
}

export type PoolFigures = Readonly<{ pool: string; open: number; free: number; waiting: number }>;

/** Connections, or threads, that work shares and waits for. */
export function watchPools(metrics: Metrics, read: () => readonly PoolFigures[]): void {
  const pool = { atMost: MOST_POOLS };
  metrics.gauge({
    name: 'tollgate_pool_connections',
    help: 'Connections or threads of a pool that are there, by whether they have work',
    labels: { pool, state: ['busy', 'free'] },
    readEach: () =>
      read().flatMap(({ pool: name, open, free }) => [
        { labels: { pool: name, state: 'busy' as const }, value: Math.max(0, open - free) },
        { labels: { pool: name, state: 'free' as const }, value: free },
      ]),
  });
  metrics.gauge({
    name: 'tollgate_pool_waiting',
    help: 'Work that waits for a connection or a thread of a pool',
    labels: { pool },
    readEach: () => read().map(({ pool: name, waiting }) => ({ labels: { pool: name }, value: waiting })),
  });
}

/** Shows of each background task how long ago a turn of it ended well; told by the function that it returns. */
export function createHeartbeats(
  metrics: Metrics,
  now: () => number = () => performance.now(),
): (task: string, everyMs: number) => () => void {
  const tasks = new Map<string, { everyMs: number; endedAt: number }>();
  const each = (value: (task: { everyMs: number; endedAt: number }) => number) => () =>
    [...tasks].map(([task, state]) => ({ labels: { task }, value: value(state) }));
  const labels = { task: { atMost: MOST_TASKS } };
  metrics.gauge({
    name: 'tollgate_background_age_seconds',
    help: 'Since a turn of a background task has last ended well here, at first since the start',
    labels,
    readEach: each(({ endedAt }) => (now() - endedAt) / MILLISECONDS),
  });
  metrics.gauge({
    name: 'tollgate_background_interval_seconds',
    help: 'From one turn of a background task to the next',
    labels,
    readEach: each(({ everyMs }) => everyMs / MILLISECONDS),
  });
  return (task, everyMs) => {
    const state = { everyMs, endedAt: now() };
    tasks.set(task, state);
    return () => {
      state.endedAt = now();
    };
  };
}
