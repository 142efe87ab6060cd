import {
  callsOf,
  inTurns,
  ourCall,
  type Shape,
  upstreamCall,
  viaPortkey,
  viaThreeCalls,
  type Wire,
} from '../load/columns.ts';
import { overHttp } from '../load/drive.ts';
import { type Column, type Measured, playRounds, ratio } from '../load/rounds.ts';
import { columnTable } from '../report/column-table.ts';
import { type Finding, fixed, judged, type Section, whole } from '../report/section.ts';
import { median } from '../report/statistics.ts';
import type { Bench, Context } from '../stage/context.ts';
import { ourParts } from '../stage/world.ts';

const CONNECTIONS = 32;

const TARGETS = { streamed: { many: 0.75, hot: 0.85 }, JSON: { many: 0.45, hot: 0.45 } } as const;
const MOST_CPU = 1.5;
const LEAST_OF_THREE_CALLS = 12;
const LEAST_OF_PORTKEY = 4;

/** The columns of one wire, by what they stand for. */
interface Group {
  readonly wire: Wire;
  readonly columns: Readonly<Record<'floor' | 'many' | 'hot', Column> & Partial<Record<'other', Column>>>;
}
const listed = ({ columns }: Group): Column[] => Object.values(columns);

async function chat(context: Context, shape: Shape): Promise<Section> {
  const groups = [await groupOf(context, 'flowise', shape), await groupOf(context, 'openai', shape)];
  const notes: string[] = [];
  const others = context.quick
    ? []
    : await Promise.all(groups.map(({ wire }) => otherOf(context, { wire, shape }, notes)));
  const complete = groups.map(({ wire, columns }, at): Group => {
    const other = others[at];
    return { wire, columns: { ...columns, ...(other && { other }) } };
  });
  const measured = await playRounds(
    complete.flatMap(listed),
    { ...context.pacing, connections: CONNECTIONS },
    context.said,
  );
  const byName = new Map(measured.map((column) => [column.name, column]));
  const of = (column: Column | undefined) => byName.get(column?.name ?? '');
  return {
    notes,
    tables: complete.map((group) =>
      columnTable(
        `${shape}, ${group.wire}`,
        listed(group).flatMap((column) => of(column) ?? []),
      ),
    ),
    findings: complete.flatMap(({ wire, columns: { floor, many, hot, other } }) =>
      findingsOf(`${shape} chat (${wire})`, TARGETS[shape], {
        floor: of(floor),
        many: of(many),
        hot: of(hot),
        other: of(other),
      }),
    ),
  };
}

async function groupOf(context: Context, wire: Wire, shape: Shape): Promise<Group> {
  const world = await context.world();
  const payers = await context.payers();
  const make = (token: string) => ourCall(world, wire, { shape, token });
  const parts = ourParts(world);
  return {
    wire,
    columns: {
      floor: {
        name: `pass-through, ${wire}`,
        open: overHttp(inTurns([upstreamCall(world.floor.url, wire, { shape })])),
        parts: [{ name: 'pass-through', pids: [world.floor.pid] }],
      },
      many: { name: `Tollgate, ${wire}, many accounts`, open: overHttp(callsOf(payers, make)), parts },
      hot: { name: `Tollgate, ${wire}, one hot account`, open: overHttp(callsOf(payers.slice(0, 1), make)), parts },
    },
  };
}

/** Who else hands on this wire; what cannot be had is told, and left out. */
async function otherOf(
  context: Context,
  { wire, shape }: { wire: Wire; shape: Shape },
  notes: string[],
): Promise<Column | undefined> {
  try {
    return wire === 'flowise' ? await threeCalls(context, shape) : await portkey(context, shape);
  } catch (error) {
    const text = `${wire === 'flowise' ? 'The three-call flow' : 'Portkey'} is not among the columns: ${String(error).split('\n', 1)[0]}`;
    notes.push(text);
    context.said(text);
    return undefined;
  }
}

async function threeCalls(context: Context, shape: Shape): Promise<Column> {
  const { proxy, accounting } = await context.threeCalls();
  const { databases } = await context.world();
  return {
    name: 'three calls, ORM, many accounts',
    open: overHttp(callsOf(await context.payers(), (token) => viaThreeCalls(proxy.url, shape, token))),
    parts: [
      { name: 'proxy', pids: [proxy.pid] },
      { name: 'accounting', pids: [accounting.pid] },
      { name: 'PostgreSQL', pids: databases.postgres.pids },
    ],
  };
}

async function portkey(context: Context, shape: Shape): Promise<Column> {
  const { upstream } = await context.world();
  const gateway = await context.portkey();
  return {
    name: 'Portkey, no credits',
    open: overHttp(inTurns([viaPortkey(gateway.url, upstream.url, shape)])),
    parts: [{ name: 'gateway', pids: [gateway.pid] }],
  };
}

type Seen = Readonly<Record<'floor' | 'many' | 'hot' | 'other', Measured | undefined>>;

function findingsOf(
  what: string,
  targets: { many: number; hot: number },
  { floor, many, hot, other }: Seen,
): Finding[] {
  if (!floor || !many || !hot) return [];
  const findings = [
    throughput(`${what}, many accounts, of the pass-through`, { of: many, to: floor, least: targets.many }),
    throughput(`${what}, one hot account, of the pass-through`, { of: hot, to: floor, least: targets.hot }),
  ];
  if (other) {
    const least = other.name.startsWith('Portkey') ? LEAST_OF_PORTKEY : LEAST_OF_THREE_CALLS;
    findings.push(throughput(`${what}, against ${other.name}`, { of: many, to: other, least }));
  }
  return what.startsWith('streamed') ? [...findings, cpuFinding(what, floor, many)] : findings;
}

function throughput(figure: string, { of, to, least }: { of: Measured; to: Measured; least: number }): Finding {
  const faults = of.faults + to.faults;
  return {
    figure,
    target: `≥ ${least}`,
    measured: `${whole(median(of.perSecond))}/s, ${whole(median(to.perSecond))}/s`,
    ratio: fixed(ratio(of, to)),
    verdict: faults > 0 ? `not measured: ${faults} faults` : judged(ratio(of, to), { least }),
  };
}

function cpuFinding(what: string, floor: Measured, many: Measured): Finding {
  const ours = many.cpuMicroseconds.get('proxy') ?? Number.NaN;
  const theirs = floor.cpuMicroseconds.get('pass-through') ?? Number.NaN;
  return {
    figure: `${what}: CPU per request in the proxy, of the pass-through`,
    target: `≤ ${MOST_CPU}`,
    measured: `${whole(ours)} µs, ${whole(theirs)} µs`,
    ratio: fixed(ours / theirs),
    verdict: judged(ours / theirs, { most: MOST_CPU }),
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
