import { directive, eventually, type Person, type Platform, type Scenario } from '@tollgate/test-kit';
import { type Door, DOORS, type Heard, type Question } from './doors.ts';
import { createDraw, type Draw } from './draw.ts';

export interface SameCreditsOptions {
  readonly requests: number;
  readonly seed: number;
  readonly atOnce: number;
}

export interface SameCredits {
  readonly requests: number;
  /** How many of each kind were asked, and how they ended. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly answers: Readonly<Record<string, number>>;
  readonly holds: number;
  readonly told: number;
  /** Credits of the answers that told their client what they cost: by these events, and by the ledger. */
  readonly toldCredits: Readonly<Record<'usageEvents' | 'ledger', number>>;
  /** Credits of all holds. An answer that broke off, or was left, tells its client nothing. */
  readonly credits: Readonly<Record<'usageLog' | 'ledger' | 'holds' | 'proxyMetric' | 'accountingMetric', number>>;
  /** Holds whose four figures differ, at most ten. */
  readonly differences: readonly object[];
  readonly seconds: number;
}

/** Under which a random request is known in the summary. */
interface Planned {
  readonly kind: string;
  readonly door: Door;
  readonly person: Person;
  readonly question: Question;
}

const CHARGED = /^tollgate_credits_charged_total\{[^}]*\} (\d+)/m;
const SETTLED = /^tollgate_settled_credits_total\{[^}]*fate="charged"[^}]*\} (\d+)/m;

/** Asks so many random questions and compares what event, usage log, ledger and metrics say of each. */
export async function askAtRandom(platform: Platform, options: SameCreditsOptions): Promise<SameCredits> {
  const began = performance.now();
  const draw = createDraw(options.seed);
  const crowd = await assemble(platform, options.requests);
  const metricsBefore = await metricsOf(platform);
  const holdsBefore = await newestHold(platform);
  const heard: { plan: Planned; heard: Heard }[] = [];
  const plans = Array.from({ length: options.requests }, () => plan(draw, platform, crowd));
  await Promise.all(
    Array.from({ length: options.atOnce }, async () => {
      for (let next = plans.shift(); next; next = plans.shift()) {
        heard.push({ plan: next, heard: await next.door.ask(platform, next.person, next.question) });
      }
    }),
  );
  await eventually(async () => ((await platform.books.openHolds()) === 0 ? true : undefined), 'all holds to close');
  const rows = await bookedSince(platform, holdsBefore);
  const metricsAfter = await eventually(async () => {
    const now = await metricsOf(platform);
    const total = rows.reduce((sum, { charged }) => sum + charged, 0);
    return now.proxy - metricsBefore.proxy >= total ? now : undefined;
  }, 'the metric to catch up').catch(() => metricsOf(platform));
  const compared = compare(heard, rows);
  return {
    requests: heard.length,
    kinds: countOf(heard.map(({ plan: { kind } }) => kind)),
    answers: countOf(heard.map((one) => ending(one.heard))),
    holds: rows.length,
    ...compared,
    credits: {
      ...compared.credits,
      proxyMetric: metricsAfter.proxy - metricsBefore.proxy,
      accountingMetric: metricsAfter.accounting - metricsBefore.accounting,
    },
    seconds: (performance.now() - began) / 1000,
  };
}

interface Crowd {
  readonly rich: readonly Person[];
  /** Too poor for the usual reservation, so that their answers are clamped. */
  readonly modest: readonly Person[];
  readonly poor: readonly Person[];
}

const CREDITS_A_REQUEST = 5000;

async function assemble(platform: Platform, requests: number): Promise<Crowd> {
  const people = (count: number, credits: number) =>
    Promise.all(Array.from({ length: count }, () => platform.user({ credits })));
  const [rich, modest, poor] = await Promise.all([
    people(6, Math.max(1_000_000, requests * CREDITS_A_REQUEST)),
    people(6, 900),
    people(2, 10),
  ]);
  return { rich, modest, poor };
}

const USAGES = [
  'exact',
  'absent',
  'null',
  'zero',
  'late',
  'with-choices',
  'running',
  'negative',
  'string',
  'overflow',
] as const;

/** What an upstream may do, and how often in a hundred. */
const SCENARIOS: readonly (readonly [string, number, (draw: Draw) => Scenario])[] = [
  ['plain', 20, (draw) => ({ tokens: draw.whole(30) })],
  ['usage', 20, (draw) => ({ tokens: 1 + draw.whole(20), usage: draw.one(USAGES) })],
  ['claimed usage', 10, (draw) => ({ tokens: 1 + draw.whole(9), usage: claim(draw) })],
  ['long', 6, (draw) => ({ tokens: 200 + draw.whole(1500), ignoreMaxTokens: draw.percent(50) })],
  ['in slices', 8, (draw) => ({ tokens: 1 + draw.whole(12), sliceBytes: 7 + draw.whole(90) })],
  ['reset', 6, (draw) => ({ tokens: 20, resetAfter: draw.whole(20) })],
  ['closed', 5, (draw) => ({ tokens: 20, cutAfter: draw.whole(20) })],
  ['error event', 6, (draw) => ({ tokens: 20, errorEvent: { after: draw.whole(20) } })],
  ['error status', 6, (draw) => ({ error: { status: draw.one([400, 401, 429, 500, 503]) } })],
  [
    'garbage',
    5,
    (draw) => ({
      tokens: 20,
      intrusion: { after: draw.whole(20), kind: draw.one(['html', 'binary', 'broken-json', 'unknown-event']) },
    }),
  ],
  ['no tokens', 3, () => ({ tokens: 6, withholdTokens: true })],
  ['no end', 3, (draw) => ({ tokens: 6, omit: [draw.one(['finish', 'done', 'metadata', 'end'] as const)] })],
  ['page', 2, () => ({ html: true })],
];

const claim = (draw: Draw) => {
  const input = draw.whole(3000);
  return { input, output: draw.percent(10) ? 3000 + draw.whole(3000) : draw.whole(400), cached: draw.whole(input + 1) };
};

function plan(draw: Draw, { chatflows }: Platform, { rich, modest, poor }: Crowd): Planned {
  const chatflow = draw.one(Object.entries(chatflows));
  const door = draw.one(DOORS);
  const person = draw.percent(80) ? draw.one(rich) : draw.percent(85) ? draw.one(modest) : draw.one(poor);
  const [kind, scenario] = chosen(draw);
  const asked = { text: `Question ${draw.whole(1e9)} ${directive(scenario)}`, chatflowId: chatflow[1] };
  const at = `${chatflow[0]}: ${kind}`;
  if (draw.percent(3))
    return { kind: 'refused', door, person, question: { ...asked, chatflowId: 'model:nobody-has-it' } };
  if (draw.percent(3)) return { kind: 'refused', door, person, question: { ...asked, sessionId: 'no UUID' } };
  if (draw.percent(15)) return { kind: `${at}, left`, door, person, question: leaving(draw, asked) };
  return { kind: at, door, person, question: asked };
}

function chosen(draw: Draw): [string, Scenario] {
  let left = draw.whole(100);
  for (const [kind, share, make] of SCENARIOS) {
    left -= share;
    if (left < 0) return [kind, make(draw)];
  }
  throw new RangeError('the shares do not add up to 100');
}

const leaving = (draw: Draw, { text, chatflowId }: Question): Question => ({
  text: draw.percent(50) ? text : `Slowly ${directive({ tokens: 20, tokenDelayMs: 5 })}`,
  chatflowId,
  leave: draw.percent(80)
    ? { afterTokens: 1 + draw.whole(10) }
    : { afterTokens: 0, when: new Promise((resolve) => setImmediate(resolve)) },
});

interface Booked {
  readonly id: string;
  readonly charged: number;
  readonly ledger: number;
  readonly logged: number;
  readonly outputTokens: number | null;
}

async function newestHold({ books }: Platform): Promise<string> {
  const [row] = await books.query<{ at: string }>(
    'SELECT coalesce(max(created_at), now())::text AS at FROM streaming_sessions',
  );
  return row?.at ?? '';
}

/** What the books say of each hold: its row, the movements of its payer, and the usage log. */
const bookedSince = ({ books }: Platform, since: string): Promise<Booked[]> =>
  books.query<Booked & Record<string, unknown>>(
    `SELECT h.id::text, h.charged_credits::int AS charged,
       (SELECT coalesce(-sum(t.available_change + t.held_change - t.debt_change), 0)::int
          FROM credit_transactions t WHERE t.hold_id = h.id) AS ledger,
       (SELECT coalesce(sum(u.credits), 0)::int FROM usage_logs u WHERE u.hold_id = h.id) AS logged,
       (SELECT max(u.output_tokens)::int FROM usage_logs u WHERE u.hold_id = h.id) AS "outputTokens"
     FROM streaming_sessions h WHERE h.created_at > $1::timestamptz`,
    [since],
  );

/** Whether every count of every hold is the same. */
export const isSame = ({ differences, toldCredits, credits }: SameCredits): boolean =>
  differences.length === 0 &&
  toldCredits.usageEvents === toldCredits.ledger &&
  new Set(Object.values(credits)).size === 1;

function compare(heard: readonly { plan: Planned; heard: Heard }[], rows: readonly Booked[]) {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const told = heard.filter((one) => one.heard.usage !== undefined);
  const wrongRows = rows.filter(({ charged, ledger, logged }) => charged !== ledger || charged !== logged);
  const wrongEvents = told.flatMap(({ plan: { kind, door }, heard: { usage, requestId = '' } }) => {
    const row = byId.get(requestId);
    // A message at a flat price has no tokens in the books.
    const hasSameTokens = row?.outputTokens === null || row?.outputTokens === usage?.output_tokens;
    return row?.charged === usage?.credits && hasSameTokens ? [] : [{ kind, door: door.name, usage, row }];
  });
  const sum = (of: (row: Booked) => number) => rows.reduce((all, row) => all + of(row), 0);
  const toldIds = new Set(told.map((one) => one.heard.requestId));
  return {
    told: told.length,
    differences: [...wrongRows, ...wrongEvents].slice(0, 10),
    toldCredits: {
      usageEvents: told.reduce((all, one) => all + (one.heard.usage?.credits ?? 0), 0),
      ledger: sum(({ id, ledger }) => (toldIds.has(id) ? ledger : 0)),
    },
    credits: {
      usageLog: sum(({ logged }) => logged),
      ledger: sum(({ ledger }) => ledger),
      holds: sum(({ charged }) => charged),
    },
  };
}

async function metricsOf({ urls }: Platform): Promise<{ proxy: number; accounting: number }> {
  const figure = async (url: string, pattern: RegExp) =>
    Number(pattern.exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? Number.NaN);
  const [proxy, accounting] = await Promise.all([figure(urls.chatProxy, CHARGED), figure(urls.accounting, SETTLED)]);
  return { proxy, accounting };
}

const ending = ({ status, code, isWhole, hasLeft }: Heard): string => {
  if (hasLeft) return 'left';
  if (isWhole) return 'whole';
  return `${status} ${code ?? 'cut'}`;
};

function countOf(names: readonly string[]): Record<string, number> {
  const groups = [...Map.groupBy(names, (name) => name)].map(([name, same]) => [name, same.length] as const);
  return Object.fromEntries(groups.toSorted(([one], [other]) => one.localeCompare(other)));
}
