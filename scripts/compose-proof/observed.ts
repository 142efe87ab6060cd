import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './programs.ts';
import type { Stack } from './stack.ts';

/** Instances of three services, two of each. */
const TARGETS = 6;

export interface Observed {
  readonly targets: number;
  readonly rules: number;
  /** Rules that could not be evaluated, and queries of dashboards that were refused. */
  readonly faults: readonly string[];
  readonly queries: number;
  /** Queries that some instance has an answer to by now. */
  readonly answered: number;
}

interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

/** A real Prometheus with our configuration scrapes everybody, evaluates every alert and answers what the dashboards ask. */
export async function observe(stack: Stack): Promise<Observed> {
  await stack.compose('--profile=observability', 'up', '--detach', '--no-build', '--wait', 'prometheus');
  const { addresses } = await stack.container('prometheus');
  const asked = async <T>(path: string): Promise<T> => {
    const response = await fetch(`http://${addresses[0]}:9090/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as { status: string; data: T; error?: string };
    if (status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${error}`);
    return data;
  };
  const targets = await until(async () => {
    const { activeTargets } = await asked<{ activeTargets: { health: string }[] }>('targets');
    const up = activeTargets.filter(({ health }) => health === 'up').length;
    return up >= TARGETS ? up : undefined;
  }, `${TARGETS} instances to be scraped`);
  const rules = await until(async () => {
    const { groups } = await asked<{ groups: { rules: Rule[] }[] }>('rules');
    const all = groups.flatMap((group) => group.rules);
    return all.length > 0 && all.every(({ health }) => health !== 'unknown') ? all : undefined;
  }, 'every rule to be evaluated');

  const faults = rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`);
  const queries = await queriesOf(join(stack.folder, 'infra/grafana/dashboards'));
  let answered = 0;
  for (const query of queries) {
    try {
      const { result } = await asked<{ result: unknown[] }>(`query?query=${encodeURIComponent(query)}`);
      if (result.length > 0) answered += 1;
    } catch (error) {
      faults.push(String(error));
    }
  }
  return { targets, rules: rules.length, faults, queries: queries.length, answered };
}

async function queriesOf(folder: string): Promise<string[]> {
  const files = await readdir(folder);
  const boards = await Promise.all(files.map(async (file) => JSON.parse(await readFile(join(folder, file), 'utf8'))));
  return (boards as { panels: { targets: { expr: string }[] }[] }[])
    .flatMap(({ panels }) => panels.flatMap(({ targets }) => targets))
    .map(({ expr }) => expr);
}
