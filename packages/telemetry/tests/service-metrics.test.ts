import { describe, expect, it } from '@jest/globals';
import {
  createHeartbeats,
  createMetrics,
  createRequestObserver,
  openTracing,
  watchDependencies,
  watchPools,
} from '../src/index.ts';

const bare = () => createMetrics({ service: 'auth', withProcess: false });

describe('what every service shows', () => {
  it('counts an error by its code beside the time of its request', async () => {
    const metrics = bare();
    const observe = createRequestObserver(metrics, [1, 10]);
    observe({ method: 'GET', route: '/api/things/:id', status: 503, seconds: 2, failure: 'storage_full' });
    observe({ method: 'BREW', route: 'other', status: 405, seconds: 0.1, failure: 'method_not_allowed' });
    const text = await metrics.text();
    expect(text).toContain('tollgate_http_errors_total{code="storage_full",service="auth"} 1');
    // The first of these must be a rise, and not a birth.
    expect(text).toContain('tollgate_http_errors_total{code="internal",service="auth"} 0');
    expect(text).toContain(
      'tollgate_http_request_seconds_bucket{le="10",service="auth",method="GET",route="/api/things/:id",status="503"} 1',
    );
    expect(text).toContain('method="other",route="other",status="405"');
  });

  it('tells of each task how long ago it ended well, and how often it is due', async () => {
    const metrics = bare();
    let now = 0;
    const beat = createHeartbeats(metrics, () => now);
    const swept = beat('sweep', 15_000);
    beat('reconcile', 600_000);
    now = 60_000;
    swept();
    now = 90_000;
    const text = await metrics.text();
    expect(text).toContain('tollgate_background_age_seconds{task="sweep",service="auth"} 30');
    expect(text).toContain('tollgate_background_age_seconds{task="reconcile",service="auth"} 90');
    expect(text).toContain('tollgate_background_interval_seconds{task="reconcile",service="auth"} 600');
  });

  it('tells of each pool what works in it and what waits, and of each check whether it passes', async () => {
    const metrics = bare();
    watchPools(metrics, () => [{ pool: 'mongo', open: 5, free: 2, waiting: 7 }]);
    watchDependencies(metrics, { ready: async () => ({ checks: { database: 'ok', schema: 'failed' } }) });
    const text = await metrics.text();
    expect(text).toContain('tollgate_pool_connections{pool="mongo",state="busy",service="auth"} 3');
    expect(text).toContain('tollgate_pool_connections{pool="mongo",state="free",service="auth"} 2');
    expect(text).toContain('tollgate_pool_waiting{pool="mongo",service="auth"} 7');
    expect(text).toContain('tollgate_dependency_up{dependency="database",service="auth"} 1');
    expect(text).toContain('tollgate_dependency_up{dependency="schema",service="auth"} 0');
  });

  it('describes itself without its values', () => {
    const metrics = bare();
    metrics.gauge({ name: 'tollgate_rooms', help: 'Rooms.', labels: { floor: ['first'] } });
    metrics.counter({ name: 'tollgate_guests_total', help: 'Guests.' });
    expect(metrics.describe()).toEqual([
      { name: 'tollgate_guests_total', help: 'Guests.', type: 'counter', labels: [], isFromTheStart: true },
      { name: 'tollgate_rooms', help: 'Rooms.', type: 'gauge', labels: ['floor'], isFromTheStart: true },
    ]);
  });
});

describe('tracing', () => {
  const options = { service: 'auth', version: '1.2.3' };
  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

  it('is not there without a collector', async () => {
    const { tracer, close } = await openTracing({ ...options, endpoint: undefined });
    expect(tracer).toBeUndefined();
    await close();
  });

  it('goes on with the trace of a caller, and hands it on as kept or not kept', async () => {
    const { tracer, close } = await openTracing({ ...options, endpoint: 'http://127.0.0.1:9', ratio: 0 });
    const kept = tracer?.begin('GET', 'server', `00-${TRACE}-00f067aa0ba902b7-01`);
    expect(kept?.traceId).toBe(TRACE);
    expect(kept?.child('ask', 'client').traceparent).toMatch(new RegExp(`^00-${TRACE}-(?!00f067aa)[0-9a-f]{16}-01$`));
    const dropped = tracer?.begin('GET', 'server', `00-${TRACE}-00f067aa0ba902b7-00`);
    expect(dropped?.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    // Begun here, where none is kept.
    expect(tracer?.begin('GET', 'server', undefined).traceparent).toMatch(/-00$/);
    for (const span of [kept, dropped]) span?.end();
    await close();
  });

  it('closes soon although its collector never answers', async () => {
    const { tracer, close } = await openTracing({ ...options, endpoint: 'http://127.0.0.1:9' });
    for (let n = 0; n < 5000; n += 1) tracer?.begin('GET', 'server', undefined, { n }).end('error');
    await expect(close()).resolves.toBeUndefined();
    expect(() => tracer?.begin('GET', 'server', undefined).end()).not.toThrow();
  });
});
