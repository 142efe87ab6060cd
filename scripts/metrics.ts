// Writes down what the services measure. `--write` updates docs/metrics.md; without it, says whether the page differs and exits 1.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RegisteredMetric, registeredMetrics } from './metrics/registered.ts';

export const METRICS_PAGE = join('docs', 'metrics.md');

const INTRODUCTION = `# Metrics

What the services show at \`/metrics\`, in the text format of Prometheus. With \`METRICS_TOKEN\` a reader sends it as a bearer token;
without it the page is there for loopback and private addresses only. Each metric has the label \`service\` besides its own. Labels
have few values: what is not among them is counted as \`other\`.

A metric of one process says nothing of the other instances: take the sum of counters and of what runs or waits, the maximum of ages
and lags, and the minimum of \`tollgate_background_age_seconds\`, since most tasks need to be done by one instance only. Beside these there
are the standard metrics of the process (\`process_*\`) and of Node.js (\`nodejs_*\`), of which
\`nodejs_eventloop_lag_p99_seconds\` is the one to watch. What is worth waking somebody for is in
[\`ops/alerts\`](../ops/alerts/tollgate.yml).

This page is made from the services: \`node --conditions=tollgate scripts/metrics.ts --write\`. A test compares the two.
`;

/** The page as it must stand in docs. */
export function metricsPage(metrics: readonly RegisteredMetric[]): string {
  const own = metrics.filter(({ name }) => name.startsWith('tollgate_'));
  const rows = own.map(({ name, type, labels, services, help }) => {
    const who = services.length === 3 ? 'all' : services.join(', ');
    return `| \`${name}\` | ${type} | ${labels.map((label: string) => `\`${label}\``).join(', ') || '–'} | ${who} | ${help} |`;
  });
  return [INTRODUCTION, '| metric | type | labels | services | meaning |', '|---|---|---|---|---|', ...rows, ''].join(
    '\n',
  );
}

if (import.meta.main) {
  const page = metricsPage(await registeredMetrics());
  const isWanted = process.argv.includes('--write');
  if (isWanted) writeFileSync(METRICS_PAGE, page);
  else if (readFileSync(METRICS_PAGE, 'utf8') !== page) {
    process.stderr.write(`${METRICS_PAGE} differs from what the services measure; write it anew with --write\n`);
    process.exitCode = 1;
  }
}
