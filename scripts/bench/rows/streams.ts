import { callsOf, inTurns, ourCall, upstreamCall } from '../load/columns.ts';
import { drive, type Driven, type Open, overHttp } from '../load/drive.ts';
import { fixed, judged, type Section } from '../report/section.ts';
import { median, quantile } from '../report/statistics.ts';
import type { Bench, Context } from '../stage/context.ts';
import { type Seen, watching } from '../stage/probe.ts';

const STREAMS = 100;
const WARM_MS = 6000;
/** Two answers of each stream at least. */
const LEAST_MS = 6000;
/** An answer of the paced flow takes about 2 s: so the streams lie apart from one another. */
const SPREAD_MS = 2000;
/** Answers that are asked for within this time meet: a machine that stood still for a moment lets all timers end at once. */
const TOGETHER_MS = 5;
const TARGET = { p50: 5, p99: 25, delay: 20 } as const;

interface Round {
  readonly floor: Driven;
  readonly ours: Driven;
  readonly seen: Seen;
}

async function streams(context: Context): Promise<Section> {
  const world = await context.world();
  const wanted = { shape: 'streamed', pace: 'paced' } as const;
  const floor = overHttp(inTurns([upstreamCall(world.floor.url, 'flowise', wanted)]));
  const payers = await context.payers();
  const askOurs = (how: Parameters<typeof upstreamCall>[2]) =>
    overHttp(callsOf(payers, (token) => ourCall(world, 'flowise', { ...how, token })));
  const ours = askOurs(wanted);
  const play = (open: Open, milliseconds: number) =>
    drive({ open, milliseconds, connections: STREAMS, spreadMs: SPREAD_MS });
  // At fifty answers a second nothing would be compiled before the end.
  const warmUp = { connections: STREAMS, milliseconds: context.pacing.warmUpSeconds * 1000 };
  await drive({ open: askOurs({ shape: 'streamed', pace: 'fast' }), ...warmUp });
  for (const open of [floor, ours]) await play(open, WARM_MS);
  const roundMs = Math.max(LEAST_MS, context.pacing.seconds * 1000);
  const rounds: Round[] = [];
  for (let round = 0; round < context.pacing.rounds; round += 1) {
    const driven = await play(floor, roundMs);
    const { seen, result } = await watching(world.chatProxy.pid ?? 0, () => play(ours, roundMs));
    rounds.push({ floor: driven, ours: result, seen });
  }
  const faults = rounds.reduce((sum, round) => sum + round.ours.faults + round.floor.faults, 0);
  const added = (part: number) =>
    median(rounds.map((round) => quantile(round.ours.firstBytes, part) - quantile(round.floor.firstBytes, part)));
  const delay = median(rounds.map(({ seen }) => seen.delayMs.p99));
  const finding = (figure: string, value: number, most: number) => ({
    figure,
    target: `≤ ${most} ms`,
    measured: `${fixed(value, 1)} ms`,
    ratio: '-',
    verdict: faults > 0 ? (`not measured: ${faults} faults` as const) : judged(value, { most }),
  });
  return {
    findings: [
      finding(`added first-byte latency at ${STREAMS} concurrent streams, p50`, added(0.5), TARGET.p50),
      finding(`added first-byte latency at ${STREAMS} concurrent streams, p99`, added(0.99), TARGET.p99),
      finding(`event-loop delay of the proxy under ${STREAMS} streams, p99`, delay, TARGET.delay),
    ],
    tables: [tableOf(rounds)],
  };
}

const tableOf = (rounds: readonly Round[]) => ({
  title: `${STREAMS} streams of 20 chunks, 100 ms apart`,
  head: [
    'round',
    'streams',
    'first byte p50, pass-through',
    'ours',
    'p99, pass-through',
    'ours',
    'event loop p50',
    'p99',
    'most',
    `asked within ${TOGETHER_MS} ms of another, pass-through`,
    'ours',
  ],
  rows: rounds.map(({ floor, ours, seen: { delayMs } }, at) => [
    String(at + 1),
    String(floor.answers + ours.answers),
    ...[0.5, 0.99].flatMap((part) => [floor, ours].map(({ firstBytes }) => fixed(quantile(firstBytes, part), 1))),
    ...[delayMs.p50, delayMs.p99, delayMs.most].map((value) => fixed(value, 1)),
    ...[floor, ours].map(({ begins }) => `${Math.round(100 * shareTogether(begins))} %`),
  ]),
});

function shareTogether(begins: readonly number[]): number {
  const isNear = (at: number): boolean => (begins[at] ?? Infinity) - (begins[at - 1] ?? -Infinity) <= TOGETHER_MS;
  return begins.filter((_, at) => isNear(at) || isNear(at + 1)).length / Math.max(1, begins.length);
}

export const streamsBench: Bench = {
  name: 'streams',
  about: `added first-byte latency and event-loop delay with ${STREAMS} streams open`,
  isQuick: false,
  run: streams,
};
