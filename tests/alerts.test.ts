import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ERROR_CODES, wireCode } from '@tollgate/contracts';
import { operationsOf } from '../scripts/house-rules/operations.ts';
import { METRICS_PAGE, metricsPage } from '../scripts/metrics.ts';
import { alertRules, selectorsOf } from '../scripts/metrics/alert-rules.ts';
import { type RegisteredMetric, registeredMetrics } from '../scripts/metrics/registered.ts';
import { CONTRACTS } from '../scripts/openapi.ts';

let metrics: RegisteredMetric[];
beforeAll(async () => {
  metrics = await registeredMetrics();
}, 120_000);

const RUNBOOK = 'docs/runbook.md';
/** What Prometheus makes of a scrape by itself. */
const OF_PROMETHEUS = new Set(['up']);
/** Labels that a scrape adds. */
const OF_SCRAPES = new Set(['service', 'instance', 'job', 'le']);

const registered = (name: string): RegisteredMetric[] =>
  metrics.filter((metric) =>
    metric.type === 'histogram'
      ? ['_bucket', '_sum', '_count'].some((part) => name === metric.name + part)
      : name === metric.name,
  );

it('docs/metrics.md lists what the services register, and nothing else', () => {
  expect(readFileSync(METRICS_PAGE, 'utf8')).toBe(metricsPage(metrics));
});

describe('metrics', () => {
  it('are the same in all instances, whatever happens: each is registered before the first request', () => {
    const names = new Set(metrics.map(({ name }) => name));
    for (const name of [
      'tollgate_streams_running',
      'tollgate_holds',
      'tollgate_mails_waiting',
      'tollgate_pool_waiting',
    ])
      expect(names).toContain(name);
  });

  it('have no label that could name a person, a conversation or an answer', () => {
    const labels = new Set(metrics.flatMap((metric) => metric.labels));
    expect([...labels].filter((label) => /user|session|hold|id$|email|ip|path|url|token|key/i.test(label))).toEqual([]);
  });
});

describe('an alert', () => {
  const rules = alertRules();

  it('has a name and a chapter of its own, a severity and a sentence', () => {
    expect(rules.length).toBeGreaterThan(30);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert, severity, summary, runbook } of rules) {
      expect(['critical', 'warning']).toContain(severity);
      expect(summary.length).toBeGreaterThan(20);
      expect(runbook).toBe(`${RUNBOOK}#${alert.toLowerCase()}`);
    }
  });

  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s asks for metrics and labels that exist',
    (_name, { expr }) => {
      const selectors = selectorsOf(expr);
      expect(selectors.length).toBeGreaterThan(0);
      for (const { metric, labels } of selectors.filter(({ metric: name }) => !OF_PROMETHEUS.has(name))) {
        const known = registered(metric);
        expect([metric, known.length > 0]).toEqual([metric, true]);
        for (const label of Object.keys(labels).filter((name) => !OF_SCRAPES.has(name)))
          expect(known.flatMap((each) => each.labels)).toContain(label);
        if (labels['service'] !== undefined)
          expect(known.flatMap(({ services }) => services)).toContain(labels['service']);
      }
      // What its result is grouped by comes from somewhere.
      const grouped = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(/\s*,\s*/));
      const has = new Set([
        ...OF_SCRAPES,
        ...selectors.flatMap(({ metric }) => registered(metric)).flatMap((each) => each.labels),
      ]);
      expect(grouped.filter((name) => !has.has(name.trim()))).toEqual([]);
    },
  );

  it('asks for routes, error codes and tasks that exist', () => {
    const routes = Object.values(CONTRACTS).flatMap((contract) => operationsOf(contract).map(([, { path }]) => path));
    const codes = Object.keys(ERROR_CODES).map((code) => wireCode(code as keyof typeof ERROR_CODES));
    for (const { labels } of rules.flatMap(({ expr }) => selectorsOf(expr))) {
      if (labels['route'] !== undefined) expect(routes).toContain(labels['route']);
      if (labels['code'] !== undefined) expect(codes).toContain(labels['code']);
    }
    const tasks = readFileSync('services/accounting/src/rounds-deps.ts', 'utf8');
    for (const { labels } of rules.flatMap(({ expr }) => selectorsOf(expr)))
      if (labels['task'] !== undefined) expect(tasks).toContain(`'${labels['task']}'`);
  });

  // The page is a part of the repository; a checkout without it has nothing to compare.
  it('has its chapter in the runbook', () => {
    const isThere = existsSync(RUNBOOK);
    const text = isThere ? readFileSync(RUNBOOK, 'utf8') : '';
    const headings = [...text.matchAll(/^#{2,4} `?(\w+)`?$/gm)].map(([, name]) => name);
    const missing = rules.map(({ alert }) => alert).filter((alert) => !headings.includes(alert));
    expect(isThere ? missing : []).toEqual([]);
  });
});
