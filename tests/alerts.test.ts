import { readFileSync } from 'node:fs';
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

const known = {
  route: new Set(Object.values(CONTRACTS).flatMap((contract) => operationsOf(contract).map(([, { path }]) => path))),
  code: new Set(Object.keys(ERROR_CODES).map((code) => wireCode(code as keyof typeof ERROR_CODES))),
  task: new Set(
    [...readFileSync('services/accounting/src/rounds-deps.ts', 'utf8').matchAll(/'([\w-]+)'/g)].map(([, name]) => name),
  ),
};

/** What a selector asks for and nobody has. */
function faultsOf({ metric, labels }: ReturnType<typeof selectorsOf>[number]): string[] {
  if (OF_PROMETHEUS.has(metric)) return [];
  const found = registered(metric);
  if (found.length === 0) return [`no service has ${metric}`];
  const names = new Set([...OF_SCRAPES, ...found.flatMap((each) => each.labels)]);
  const services: readonly string[] = found.flatMap((each) => each.services);
  return Object.entries(labels).flatMap(([label, value]) => {
    if (!names.has(label)) return [`${metric} has no label ${label}`];
    const values = label === 'service' ? new Set(services) : known[label as keyof typeof known];
    return values && !values.has(value) ? [`${metric} never says ${label}="${value}"`] : [];
  });
}

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
    '%s asks for metrics, labels and values that exist',
    (_name, { expr }) => {
      const selectors = selectorsOf(expr);
      expect(selectors.length).toBeGreaterThan(0);
      expect(selectors.flatMap(faultsOf)).toEqual([]);
      // What its result is grouped by comes from somewhere.
      const labels = new Set(selectors.flatMap(({ metric }) => registered(metric)).flatMap((each) => each.labels));
      const grouped = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(/\s*,\s*/));
      expect(grouped.filter((name) => !OF_SCRAPES.has(name) && !labels.has(name))).toEqual([]);
    },
  );

  it('about a rise asks for series that are there before their first event', () => {
    const late = rules.flatMap(({ alert, expr }) =>
      [...expr.matchAll(/\bincrease\((\w+)/g)].flatMap(([, name = '']) =>
        registered(name).some(({ isFromTheStart }) => isFromTheStart) ? [] : [`${alert}: ${name}`],
      ),
    );
    expect(late).toEqual([]);
  });

  it('has its chapter in the runbook', () => {
    const headings = [...readFileSync(RUNBOOK, 'utf8').matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
    expect(new Set(headings)).toEqual(new Set(rules.map(({ alert }) => alert)));
  });
});
