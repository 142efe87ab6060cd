import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts, ServiceProcess } from '@tollgate/test-kit';
import { inTurns, ourCall } from '../load/columns.ts';
import { createStreams } from '../load/idle-streams.ts';
import { fixed, judged, type Section, whole } from '../report/section.ts';
import type { Bench, Context } from '../stage/context.ts';
import { watching } from '../stage/probe.ts';

const WANTED = 10_000;
const WARM_UP = 200;
/** What a process needs for its first streams at all is told from what each takes. */
const FIRST = 1000;
const AT_ONCE = 64;
const OPEN_FOR_MS = 150_000;
const SETTLE_MS = 5000;
const MOST_KIB = 40;
const KIBIBYTE = 1024;
/** What a process has open beside the streams. */
const SPARE_FILES = 600;
/** Of one stream in the proxy: the client's socket and the upstream's. */
const FILES_PER_STREAM = 2;

/** As many as the limit of open files lets through. */
function possible(): number {
  const text = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  const files = text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
  return Math.min(WANTED, Math.floor((files - SPARE_FILES) / FILES_PER_STREAM));
}

async function idle(context: Context): Promise<Section> {
  const world = await context.world();
  const [port = 0] = await freePorts(1);
  // One that has done nothing yet, so that what it holds is theirs.
  const env = { ...world.environments.chatProxy, PORT: String(port), SYNC_ON_START: 'false', PROBE_COLLECTS: 'true' };
  const proxy = new ServiceProcess({ name: 'chat-proxy', port, env, isBuilt: true });
  context.closers.add(() => proxy.end('SIGTERM'));
  await proxy.start();
  const payers = await context.payers();
  const next = inTurns(
    payers.map(({ token }) => ourCall({ chatProxy: proxy }, 'flowise', { shape: 'streamed', pace: 'idle', token })),
  );
  const lookAt = async (ms: number) => (await watching(proxy.pid ?? 0, () => pause(ms))).seen;
  const streams = createStreams(next);
  try {
    await streams.open(WARM_UP, { atOnce: AT_ONCE, limitMs: OPEN_FOR_MS });
    streams.closeAll();
    await pause(SETTLE_MS);
    await lookAt(100); // collects garbage, which is nobody's
    const before = await lookAt(SETTLE_MS);
    const count = possible();
    const first = Math.min(FIRST, count);
    await streams.open(first, { atOnce: AT_ONCE, limitMs: OPEN_FOR_MS });
    await lookAt(100);
    const early = await lookAt(SETTLE_MS);
    await streams.open(count - first, { atOnce: AT_ONCE, limitMs: OPEN_FOR_MS });
    await lookAt(100);
    const after = await lookAt(SETTLE_MS);
    const open = streams.count();
    context.said(`${open} streams are open; ${streams.faults()} were refused or ended by themselves`);
    const perStream = (of: (seen: typeof before) => number) => (of(after) - of(before)) / open / KIBIBYTE;
    const further = (after.rss - early.rss) / (open - first) / KIBIBYTE;
    streams.closeAll();
    await pause(SETTLE_MS);
    await lookAt(100);
    const left = await lookAt(SETTLE_MS);
    const resident = perStream(({ rss }) => rss);
    const verdict =
      open < count
        ? (`not measured: ${open} of ${count} were open in time` as const)
        : judged(resident, { most: MOST_KIB });
    return {
      findings: [
        {
          figure: `memory per idle open stream in the proxy, ${whole(open)} open`,
          target: `≤ ${MOST_KIB} KiB`,
          measured: `${fixed(resident, 1)} KiB`,
          ratio: '-',
          verdict,
        },
      ],
      tables: [],
      notes: [
        `${whole(open)} of ${whole(WANTED)} wanted streams were open: a stream takes two files in the proxy, and the machine's limit lets ${whole(count)} through.`,
        `Resident memory ${whole(before.rss / KIBIBYTE)} KiB before and ${whole(after.rss / KIBIBYTE)} KiB with them; of it heap ${fixed(
          perStream((seen) => seen.heapUsed),
          1,
        )} KiB and external memory ${fixed(
          perStream((seen) => seen.external),
          1,
        )} KiB a stream, after a collection of garbage. Each beyond the first ${whole(first)}: ${fixed(further, 1)} KiB. With all closed ${whole(left.rss / KIBIBYTE)} KiB. Event-loop delay with all open: p99 ${fixed(after.delayMs.p99, 1)} ms.`,
      ],
    };
  } finally {
    streams.closeAll();
  }
}

export const idleBench: Bench = {
  name: 'idle',
  about: `memory of ${whole(WANTED)} idle streams`,
  isQuick: false,
  run: idle,
};
