// Loaded into a service by the proof alone (`--import`): on SIGUSR2 it writes down what the process holds on to.
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const file = process.env.DIAGNOSTIC_FILE ?? '';
const NANOSECONDS = 1e6;
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

process.on('SIGUSR2', () => {
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
  const milliseconds = (nanoseconds: number): number => Math.round(nanoseconds / NANOSECONDS);
  const delayMs = { median: milliseconds(delay.percentile(50)), p99: milliseconds(delay.percentile(99)) };
  collectGarbage();
  const seen = {
    resources,
    heapMegabytes: Math.round(process.memoryUsage().heapUsed / 2 ** 20),
    delayMs,
  };
  delay.reset();
  writeFileSync(`${file}.new`, JSON.stringify(seen));
  renameSync(`${file}.new`, file);
});
