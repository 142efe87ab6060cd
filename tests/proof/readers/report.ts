import { table } from '../table.ts';
import type { ReadersOptions, ReadersSeen } from './readers.ts';

const MOST_MEGABYTES = 200;
const MOST_DELAY_MS = 50;
const SHORTEST_EXIT_SECONDS = 10;

export function isHarmless({ left, crawling, exit }: ReadersSeen): boolean {
  return (
    left.every(
      ({ openHolds, openUpstreams, megabytesBefore, megabytesAtMost, delayP99Ms }) =>
        openHolds === 0 &&
        openUpstreams === 0 &&
        megabytesAtMost - megabytesBefore <= MOST_MEGABYTES &&
        delayP99Ms <= MOST_DELAY_MS,
    ) &&
    crawling.ended === crawling.count &&
    exit.code === 0 &&
    exit.seconds <= SHORTEST_EXIT_SECONDS
  );
}

/** Nothing is wrong but the delay, of which the process's own work is no cause: its machine had no time for it. */
const isMachine = (seen: ReadersSeen): boolean =>
  isHarmless({ ...seen, left: seen.left.map((kind) => ({ ...kind, delayP99Ms: kind.workP99Ms })) });

function verdict(seen: ReadersSeen): string {
  if (isHarmless(seen)) return '**Harmless.**';
  if (isMachine(seen)) return '**Harmless, but for a machine with too little time for it.**';
  return '**Not as promised.**';
}

const percent = (share: number | undefined): string => (share === undefined ? '–' : `${Math.round(share * 100)} %`);

export function readersReport(options: Omit<ReadersOptions, 'say'>, seen: ReadersSeen): string {
  const { reading, left, crawling, before, after, exit } = seen;
  const kinds = [...new Set([...Object.keys(before.resources), ...Object.keys(after.resources)])].toSorted();
  const most = Math.max(...left.map(({ megabytesAtMost }) => megabytesAtMost));
  const tenth = (seconds: number): string => seconds.toFixed(1);
  return `# Clients that read slowly, or not at all

Written by \`pnpm prove readers\`: raw sockets at the native stream of one proxy, each with an answer of about 5 MB. A hold's lease is
${options.leaseSeconds} s here, and a client that reads nothing is given up after ${options.stallSeconds} s.

${verdict(seen)} Promised are at most ${MOST_MEGABYTES} MB more memory and ${MOST_DELAY_MS} ms of event-loop delay (p99), no open
connection to the upstream, and no open hold after the lease. Work is the processor time of the event loop itself between two ticks of
10 ms: the delay of a process that need not share its core. Pressure is the share of the time in which something on the machine
waited for a processor (\`/proc/pressure/cpu\`). The first row is no part of the promise: it brings the process to the size that such
answers need at any speed, and is what the others are compared with. From the process before it, which had given forty short answers,
to the most of all rows it is ${most - reading.megabytesBefore} MB. Taken and handed on are the bytes of one answer that have come
from servers, and that the system has taken for the client; an upstream's event is longer than ours, as the first row shows.

${table(
  [
    'clients',
    'count',
    'ended by the proxy',
    'taken, handed on',
    'memory before, at most',
    'event-loop delay, p99',
    'work, p99',
    'pressure',
    'seconds to the last hold',
    'to the last upstream',
    'open holds',
    'open upstreams',
  ],
  // Who has read all of it ends its connection itself.
  [{ ...reading, ended: 0 }, ...left].map((kind) => [
    kind.clients,
    kind.count,
    kind.ended,
    `${kind.takenMegabytes.toFixed(2)}, ${kind.handedOnMegabytes.toFixed(2)} MB`,
    `${kind.megabytesBefore}, ${kind.megabytesAtMost} MB (+${kind.megabytesAtMost - kind.megabytesBefore})`,
    `${Math.round(kind.delayP99Ms)} ms`,
    `${Math.round(kind.workP99Ms)} ms`,
    percent(kind.pressure),
    tenth(kind.holdsAfter),
    tenth(kind.upstreamsAfter),
    kind.openHolds,
    kind.openUpstreams,
  ]),
)}
${crawling.count} sockets whose headers come at a byte a second: ${crawling.ended} ended by the proxy, the last after ${tenth(crawling.lastSeconds)} s; p99 of other
requests ${crawling.p99Ms[0]} ms before and ${crawling.p99Ms[1]} ms meanwhile.

## What the process holds on to

${table(
  ['kind', 'before', 'after'],
  kinds.map((kind) => [kind, before.resources[kind] ?? 0, after.resources[kind] ?? 0]),
)}
The heap is ${Math.round(before.heapMegabytes)} MB before and ${Math.round(after.heapMegabytes)} MB after, buffers ${Math.round(before.bufferMegabytes)} MB and ${Math.round(after.bufferMegabytes)} MB. Told to stop then, the process exits with ${exit.code} after ${tenth(exit.seconds)} s.
`;
}
