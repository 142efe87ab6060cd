// Loaded into a service by the bench alone (`--import`): the first SIGUSR2 begins to watch the event loop, the next writes down
// what was seen into a file and forgets it. Before the first it costs nothing. With PROBE_COLLECTS=true it collects all garbage
// before it looks at the heap: that halts the process, and leaves it with the smallest young generation there is, which it then
// collects many times as often. So only where memory is what is asked for.
import { renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const RESOLUTION_MS = 5;
const NANOSECONDS = 1e6;
const file = join(tmpdir(), `tollgate-probe-${process.pid}.json`);
const collects = process.env['PROBE_COLLECTS'] === 'true';
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let isWatching = false;

/** The timer that measures is part of what it measures. */
const late = (nanoseconds: number): number => Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS);

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

process.on('SIGUSR2', () => {
  if (!isWatching) {
    isWatching = true;
    delay.reset();
    delay.enable();
    return;
  }
  isWatching = false;
  delay.disable();
  const delayMs = { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), most: late(delay.max) };
  const { rss } = process.memoryUsage();
  if (collects) collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(`${file}.new`, JSON.stringify({ delayMs, rss, heapUsed, external }));
  renameSync(`${file}.new`, file);
});
