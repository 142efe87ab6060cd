import type { Accounting } from '../harness/accounting.ts';

/** How often an event was told by the first instance, with all its labels together or with those given. */
export async function counted(accounting: Accounting, event: string, labels = ''): Promise<number> {
  const lines = (await accounting.first.deps.metrics.text()).split('\n');
  return lines
    .filter((line) => line.startsWith(`tollgate_${event}_total{`) || line.startsWith(`tollgate_${event}_total `))
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
