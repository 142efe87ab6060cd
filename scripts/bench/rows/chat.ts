import { callsOf, inTurns, ourCall, type Shape, upstreamCall, type Wire } from '../load/columns.ts';
import { type Column, type Measured, playRounds, ratio } from '../load/rounds.ts';
import { columnTable } from '../report/column-table.ts';
import { type Finding, fixed, judged, type Section, whole } from '../report/section.ts';
import { median } from '../report/statistics.ts';
import type { Bench, Context } from '../stage/context.ts';
import type { Part } from '../stage/usage.ts';
import type { World } from '../stage/world.ts';

const CONNECTIONS = 32;
const FULL = { rounds: 3, seconds: 4, warmUpSeconds: 3, connections: CONNECTIONS };
const QUICK = { rounds: 3, seconds: 2, warmUpSeconds: 2, connections: CONNECTIONS };
const WIRES: readonly Wire[] = ['flowise', 'openai'];

const TARGETS = {
  streamed: { many: 0.75, hot: 0.85, cpu: 1.5 },
  JSON: { many: 0.45, hot: 0.45 },
} as const;

/** The processes that our answers take time of. */
export const ourParts = ({ chatProxy, accounting, databases }: World): readonly Part[] => [
  { name: 'proxy', pid: chatProxy.pid ?? 0 },
  { name: 'accounting', pid: accounting.pid ?? 0 },
  ...databases.postgres.pids.map((pid) => ({ name: 'PostgreSQL', pid })),
  ...databases.mongo.pids.slice(0, 1).map((pid) => ({ name: 'MongoDB', pid })),
];

async function chat(context: Context, shape: Shape): Promise<Section> {
  const world = await context.world();
  const payers = await context.payers();
  const hot = payers.slice(0, 1);
  const columns = (wire: Wire): Column[] => {
    const parts = ourParts(world);
    const make = (token: string) => ourCall(world, wire, { shape, token });
    return [
      {
        name: `pass-through, ${wire}`,
        next: inTurns([upstreamCall(world.floor.url, wire, { shape })]),
        parts: [{ name: 'pass-through', pid: world.floor.pid }],
      },
      { name: `Tollgate, ${wire}, many accounts`, next: callsOf(payers, make), parts },
      { name: `Tollgate, ${wire}, one hot account`, next: callsOf(hot, make), parts },
    ];
  };
  const measured = await playRounds(WIRES.flatMap(columns), context.quick ? QUICK : FULL, context.said);
  const tables = WIRES.map((wire, at) => columnTable(`${shape}, ${wire}`, measured.slice(3 * at, 3 * at + 3)));
  const findings = WIRES.flatMap((wire, at) => findingsOf(shape, wire, measured.slice(3 * at, 3 * at + 3)));
  return { findings, tables };
}

function findingsOf(shape: Shape, wire: Wire, [floor, many, hot]: readonly Measured[]): Finding[] {
  if (!floor || !many || !hot) return [];
  const throughput = (column: Measured, accounts: string, least: number): Finding => ({
    figure: `${shape} chat (${wire}), ${accounts}, of the pass-through`,
    target: `≥ ${fixed(least)}`,
    measured: `${whole(median(column.perSecond))}/s of ${whole(median(floor.perSecond))}/s`,
    ratio: fixed(ratio(column, floor)),
    verdict: column.faults > 0 ? `not measured: ${column.faults} faults` : judged(ratio(column, floor), { least }),
  });
  const { many: leastMany, hot: leastHot } = TARGETS[shape];
  const findings = [throughput(many, 'many accounts', leastMany), throughput(hot, 'one hot account', leastHot)];
  return shape === 'streamed' ? [...findings, cpuFinding(wire, floor, many)] : findings;
}

function cpuFinding(wire: Wire, floor: Measured, many: Measured): Finding {
  const ours = many.cpuMicroseconds.get('proxy') ?? Number.NaN;
  const theirs = floor.cpuMicroseconds.get('pass-through') ?? Number.NaN;
  return {
    figure: `CPU per streamed request in the proxy (${wire}), of the pass-through`,
    target: `≤ ${TARGETS.streamed.cpu}`,
    measured: `${whole(ours)} µs of ${whole(theirs)} µs`,
    ratio: fixed(ours / theirs),
    verdict: judged(ours / theirs, { most: TARGETS.streamed.cpu }),
  };
}

export const chatBenches: readonly Bench[] = [
  {
    name: 'streamed',
    about: 'streamed answers with token check, hold and settlement, against a bare pass-through',
    isQuick: true,
    run: (context) => chat(context, 'streamed'),
  },
  {
    name: 'json',
    about: 'answers in one piece, the same',
    isQuick: true,
    run: (context) => chat(context, 'JSON'),
  },
];
