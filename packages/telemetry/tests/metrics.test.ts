import { describe, expect, it } from '@jest/globals';
import { createEvents, createLogger, createMetrics } from '../src/index.ts';
import { collector } from './collector.ts';

const bare = () => createMetrics({ service: 'auth', withProcess: false });

describe('metrics', () => {
  it('keeps two services in one process apart', async () => {
    const [one, two] = [bare(), bare()];
    for (const metrics of [one, two]) metrics.counter({ name: 'tollgate_logins_total', help: 'Logins.' });
    one.counter({ name: 'tollgate_mails_total', help: 'Mails.' }).add(2);
    expect(await one.text()).toContain('tollgate_mails_total{service="auth"} 2');
    expect(await two.text()).not.toContain('tollgate_mails_total');
  });

  it('counts by closed labels, all of them visible from 0', async () => {
    const metrics = bare();
    const logins = metrics.counter({
      name: 'tollgate_logins_total',
      help: 'Logins.',
      labels: { outcome: ['ok', 'refused'] },
    });
    logins.add(1, { outcome: 'ok' });
    const text = await metrics.text();
    expect(text).toContain('tollgate_logins_total{outcome="ok",service="auth"} 1');
    expect(text).toContain('tollgate_logins_total{outcome="refused",service="auth"} 0');
  });

  it('counts values that no rule allows as other, and no more than the first few open values', async () => {
    const metrics = bare();
    const calls = metrics.counter({
      name: 'tollgate_calls_total',
      help: 'Calls.',
      labels: { outcome: ['ok'], model: { atMost: 2 } },
    });
    for (let n = 0; n < 1000; n += 1) calls.add(1, { outcome: `forged-${n}` as 'ok', model: `model-${n}` });
    const series = (await metrics.text()).split('\n').filter((line) => line.startsWith('tollgate_calls_total{'));
    expect(series).toHaveLength(3);
    expect(series).toContain('tollgate_calls_total{outcome="other",model="other",service="auth"} 998');
  });

  it('observes durations and asks gauges at each scrape', async () => {
    const metrics = bare();
    let open = 1;
    metrics.gauge({ name: 'tollgate_open_streams', help: 'Streams.', read: () => open });
    const waits = metrics.histogram({
      name: 'tollgate_wait_seconds',
      help: 'Waits.',
      buckets: [0.1, 1],
      labels: { target: ['flowise'] },
    });
    waits.observe(0.5, { target: 'flowise' });
    open = 7;
    const text = await metrics.text();
    expect(text).toContain('tollgate_open_streams{service="auth"} 7');
    expect(text).toContain('tollgate_wait_seconds_bucket{le="1",service="auth",target="flowise"} 1');
    const level = metrics.gauge({ name: 'tollgate_level', help: 'Level.' });
    level.set(3);
    level.add(-1);
    expect(await metrics.text()).toContain('tollgate_level{service="auth"} 2');
  });

  it('includes process and event-loop figures by default', async () => {
    const text = await createMetrics({ service: 'auth' }).text();
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
  });

  it('refuses the same name twice', () => {
    const metrics = bare();
    const define = () => metrics.counter({ name: 'tollgate_logins_total', help: 'Logins.' });
    define();
    expect(define).toThrow('tollgate_logins_total');
  });
});

describe('events', () => {
  it('tell one fact as one log line and one count, ids only in the log', async () => {
    const output = collector();
    const logger = createLogger({ service: 'accounting', destination: output.stream });
    const metrics = createMetrics({ service: 'accounting', withProcess: false });
    const emit = createEvents(logger, metrics, {
      credits_settled: {
        help: 'Holds that were settled.',
        labels: { outcome: ['completed', 'failed', 'aborted'] },
        fields: ['holdId', 'credits'],
      },
      sweeper_failed: { help: 'Sweeps that failed.', level: 'warn' },
    });
    const spread = { outcome: 'failed', holdId: 'h-1', credits: 12, question: 'canary' } as const;
    emit('credits_settled', spread);
    emit('sweeper_failed', {});
    await logger.close();
    expect(output.lines()).toMatchObject([
      { message: 'credits_settled', event: 'credits_settled', outcome: 'failed', holdId: 'h-1', credits: 12 },
      { message: 'sweeper_failed', level: 'warn' },
    ]);
    expect(output.text()).not.toContain('question');
    const text = await metrics.text();
    expect(text).toContain('tollgate_credits_settled_total{outcome="failed",service="accounting"} 1');
    expect(text).toContain('tollgate_sweeper_failed_total{service="accounting"} 1');
    expect(text).not.toContain('h-1');
  });

  it('do not compile without their labels and fields, or with a label of another value', () => {
    const emit = createEvents(createLogger({ service: 'x', level: 'silent' }), bare(), {
      user_signed_up: { help: 'Sign-ups.', labels: { via: ['form', 'admin'] }, fields: ['userId'] },
    });
    emit('user_signed_up', { via: 'form', userId: 'u-1' });
    // @ts-expect-error userId is missing
    emit('user_signed_up', { via: 'form' });
    // @ts-expect-error no such value
    emit('user_signed_up', { via: 'mail', userId: 'u-1' });
    // @ts-expect-error no such event
    expect(emit('user_signed_off', {})).toBeUndefined();
  });
});
