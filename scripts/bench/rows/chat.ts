import { type ChatColumns, chatColumns, portkeyColumn, threeCallsColumn } from '../load/chat-columns.ts';
import type { Shape, Wire } from '../load/columns.ts';
import { type Column, playRounds } from '../load/rounds.ts';
import { type Measured, ratio } from '../report/measured.ts';
import { columnTable } from '../report/column-table.ts';
import { type Finding, fixed, judged, type Section, type Short, whole } from '../report/section.ts';
import { median } from '../report/statistics.ts';
import { CHUNKS } from '../programs/wire.ts';
import type { Bench, Context } from '../stage/context.ts';
import { PORTKEY } from '../stage/peers.ts';

const CONNECTIONS = 32;
const TARGETS = { streamed: { many: 0.75, hot: 0.85 }, JSON: { many: 0.45, hot: 0.45 } } as const;
const MOST_CPU = 1.5;

/** Who else hands on a wire, and how far behind us it must be. */
const OTHERS = {
  flowise: { name: 'the three-call flow', column: threeCallsColumn, least: 12, note: undefined },
  openai: {
    name: 'Portkey',
    column: portkeyColumn,
    least: 4,
    note: `Portkey is ${PORTKEY}, which counts no credits. It runs with a file of ours loaded first (scripts/bench/programs/loopback.ts): it binds it to loopback, and gives it answers whose headers may be written. Without that this version answers no stream on Node 24 (Portkey-AI/gateway, issue 1389); the copy of the answer costs it a little.`,
  },
} as const;

const STREAM_NOTE =
  'The pass-through asks the AI server for one piece, as its client does. How the proxy asks is its own affair: an answer that comes as a stream can be charged for what has come when it breaks off.';

const PIECES_NOTE = `The AI server sends each of its ${CHUNKS} chunks by itself, in a turn of its event loop of its own and without delay, to whoever asks: the pass-through, ours and the others. “Pieces” is in how many of them an answer came at the asking side.`;

interface Group {
  readonly wire: Wire;
  readonly columns: ChatColumns & { readonly other?: Column };
}
const listed = ({ columns }: Group): Column[] => Object.values(columns);

async function chat(context: Context, shape: Shape): Promise<Section> {
  const notes: string[] = [shape === 'JSON' ? STREAM_NOTE : PIECES_NOTE];
  const groups: Group[] = [];
  for (const wire of ['flowise', 'openai'] as const) {
    const columns = await chatColumns(context, wire, shape);
    const other = context.quick ? undefined : await otherOf(context, { wire, shape }, notes);
    const { note } = OTHERS[wire];
    if (other && note !== undefined) notes.push(note);
    groups.push({ wire, columns: { ...columns, ...(other && { other }) } });
  }
  const pacing = { ...context.pacing, connections: CONNECTIONS };
  const measured = await playRounds(groups.flatMap(listed), pacing, context.said);
  const byName = new Map(measured.map((column) => [column.name, column]));
  const of = (column: Column | undefined) => byName.get(column?.name ?? '');
  return {
    notes,
    short: groups.map(({ wire, columns: { floor, many, hot, other } }) =>
      shortOf(`${shape}, ${wire}`, of(floor), [
        { who: 'bare pass-through', column: of(floor) },
        { who: 'Tollgate, many accounts', column: of(many) },
        { who: 'Tollgate, one account', column: of(hot) },
        { who: OTHERS[wire].name, column: of(other) },
      ]),
    ),
    tables: groups.map((group) =>
      columnTable(
        `${shape}, ${group.wire}`,
        listed(group).flatMap((column) => of(column) ?? []),
      ),
    ),
    findings: groups.flatMap(({ wire, columns: { floor, many, hot, other } }) =>
      findingsOf({ wire, shape }, { floor: of(floor), many: of(many), hot: of(hot), other: of(other) }),
    ),
  };
}

const shortOf = (
  what: string,
  floor: Measured | undefined,
  seen: readonly { who: string; column: Measured | undefined }[],
): Short => ({
  what,
  perSecond: seen.flatMap(({ who, column }) =>
    column && floor ? [{ who, rate: median(column.perSecond), ofFloor: ratio(column, floor) }] : [],
  ),
});

interface What {
  readonly wire: Wire;
  readonly shape: Shape;
}

/** What cannot be had is told, and left out. */
async function otherOf(context: Context, { wire, shape }: What, notes: string[]): Promise<Column | undefined> {
  const { name, column } = OTHERS[wire];
  try {
    return await column(context, shape);
  } catch (error) {
    const text = `There is no column of ${name}: ${String(error).split('\n', 1)[0]}`;
    notes.push(text);
    context.said(text);
    return undefined;
  }
}

type Seen = Readonly<Record<'floor' | 'many' | 'hot' | 'other', Measured | undefined>>;

function findingsOf({ wire, shape }: What, { floor, many, hot, other }: Seen): Finding[] {
  if (!floor || !many || !hot) return [];
  const what = `${shape} chat (${wire})`;
  const least = TARGETS[shape];
  const findings = [
    throughput(`${what}, many accounts, of the pass-through`, { of: many, to: floor, least: least.many }),
    throughput(`${what}, one hot account, of the pass-through`, { of: hot, to: floor, least: least.hot }),
  ];
  if (other)
    findings.push(
      throughput(`${what}, against ${OTHERS[wire].name}`, { of: many, to: other, least: OTHERS[wire].least }),
    );
  return shape === 'streamed' ? [...findings, cpuFinding(what, floor, many)] : findings;
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

const benchOf = (name: string, shape: Shape): Bench => ({
  name,
  about: `${shape} answers with token check, hold and settlement, against a bare pass-through`,
  isQuick: true,
  run: (context) => chat(context, shape),
});

export const chatBenches: readonly Bench[] = [benchOf('streamed', 'streamed'), benchOf('json', 'JSON')];
