import type { Person, Platform, Scenario } from '@tollgate/test-kit';
import { directive, eventually } from '@tollgate/test-kit';
import { type Door, DOORS, type Heard } from './doors.ts';
import { table } from './table.ts';

export const ADAPTERS = ['openai', 'flowise'] as const;
export type Adapter = (typeof ADAPTERS)[number];

/** One fault of an upstream, and what must come of it: acceptance.md, Fault catalogue, C.1. */
export interface Fault {
  /** The row of the catalogue. */
  readonly row: string;
  readonly what: string;
  readonly scenario: (adapter: Adapter) => Scenario;
  /** Absent: the answer is whole. */
  readonly code?: string;
  /** Of a refusal, before anything was produced. */
  readonly status?: number;
  /** Output tokens paid for. 0: the hold is voided. */
  readonly charged: number;
  /** Milliseconds from the end of the answer to the end of the hold. */
  readonly within: number;
  readonly retryAfter?: string;
  /** What a client that speaks the model's own language is told instead: the request is wrong, and not to be repeated. */
  readonly rejected?: Pick<Fault, 'status' | 'code'>;
}

export const FIRST_BYTE_MS = 2000;
export const IDLE_MS = 2000;
const FOREVER = 600_000;
const VOIDED_WITHIN = 1000;
const SETTLED_WITHIN = 5000;

const refused = (row: string, what: string, [status, code]: readonly [number, string], scenario: Scenario): Fault => ({
  row,
  what,
  scenario: () => scenario,
  code,
  status,
  charged: 0,
  within: VOIDED_WITHIN,
});
const broken = (row: string, what: string, code: string, scenario: Fault['scenario']): Fault => ({
  row,
  what,
  scenario,
  code,
  charged: 5,
  within: SETTLED_WITHIN,
});
const raw = (text: string): Scenario => ({ raw: { text } });
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n';
const SLOW = 'Upstream slow first byte';
const RESETS = 'Upstream resets mid-stream';
const BEFORE = 'Upstream 429/5xx before output';
const GARBAGE = 'Upstream 200 then garbage';
const EXTRA = 'Upstream extra bytes, duplicate length, stacked encoding';
const HANGS = 'Upstream hangs after last token';

const FAULTS: readonly Fault[] = [
  refused(SLOW, 'no byte', [504, 'upstream_timeout'], { hang: true }),
  refused(SLOW, 'late byte', [504, 'upstream_timeout'], { firstByteDelayMs: FOREVER }),
  refused(SLOW, 'headers, then heartbeats', [504, 'upstream_timeout'], { hangAfter: 0, heartbeatMs: 100 }),
  broken(RESETS, 'reset', 'upstream_interrupted', () => ({ tokens: 9, resetAfter: 5 })),
  broken(RESETS, 'closed inside the body', 'upstream_interrupted', () => ({ tokens: 9, cutAfter: 5 })),
  refused(RESETS, 'reset before the first token', [502, 'upstream_interrupted'], { resetAfter: 0 }),
  {
    ...refused(BEFORE, '429', [429, 'rate_limited'], { error: { status: 429, retryAfterSeconds: 7 } }),
    retryAfter: '7',
  },
  {
    ...refused(BEFORE, '400', [502, 'upstream_failed'], { error: { status: 400 } }),
    rejected: { status: 400, code: 'upstream_rejected' },
  },
  ...[401, 404, 500, 503].map((status) =>
    refused(BEFORE, String(status), [502, 'upstream_failed'], { error: { status } }),
  ),
  refused(BEFORE, 'error as the first event of a 200', [502, 'upstream_failed'], { errorEvent: { after: 0 } }),
  broken(BEFORE, 'error event after five tokens', 'upstream_failed', () => ({ tokens: 9, errorEvent: { after: 5 } })),
  refused(GARBAGE, 'HTML page', [502, 'upstream_protocol_error'], { html: true }),
  refused(GARBAGE, 'no HTTP', [502, 'upstream_protocol_error'], raw('HTTP/1.1 2OO\r\n\r\nhello')),
  broken(GARBAGE, 'HTML in the stream, then the end', 'upstream_protocol_error', (adapter) => ({
    tokens: 5,
    intrusion: { after: 5, kind: 'html' },
    omit: adapter === 'openai' ? ['finish', 'done'] : ['metadata', 'end'],
  })),
  broken(GARBAGE, 'bytes that are no text, then the end', 'upstream_protocol_error', (adapter) => ({
    tokens: 5,
    intrusion: { after: 5, kind: 'binary' },
    omit: adapter === 'openai' ? ['finish', 'done'] : ['metadata', 'end'],
  })),
  broken(GARBAGE, 'broken JSON', 'upstream_protocol_error', () => ({
    tokens: 9,
    intrusion: { after: 5, kind: 'broken-json' },
  })),
  broken(GARBAGE, 'an endless line', 'upstream_protocol_error', () => ({
    tokens: 9,
    intrusion: { after: 5, kind: 'huge-line', bytes: 1_500_000 },
  })),
  broken(GARBAGE, 'no end', 'upstream_interrupted', (adapter) => ({
    tokens: 5,
    usage: 'absent',
    omit: adapter === 'openai' ? ['finish', 'done'] : ['metadata', 'end'],
  })),
  ...(['negative', 'string', 'overflow', 'null', 'absent'] as const).map(
    (usage): Fault => ({
      row: GARBAGE,
      what: `usage ${usage}`,
      scenario: () => ({ tokens: 5, usage }),
      charged: 5,
      within: SETTLED_WITHIN,
    }),
  ),
  refused(
    EXTRA,
    'bytes after the body',
    [502, 'upstream_interrupted'],
    raw(`${HEAD}content-length: 0\r\n\r\nHTTP/1.1 200 OK`),
  ),
  refused(
    EXTRA,
    'two lengths',
    [502, 'upstream_protocol_error'],
    raw(`${HEAD}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`),
  ),
  refused(
    EXTRA,
    'length and chunks',
    [502, 'upstream_protocol_error'],
    raw(`${HEAD}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`),
  ),
  refused(EXTRA, 'stacked encodings', [502, 'upstream_protocol_error'], {
    headers: { 'content-encoding': 'gzip, br' },
  }),
  broken(HANGS, 'open connection', 'upstream_timeout', () => ({ tokens: 5, endDelayMs: FOREVER })),
  broken(HANGS, 'open connection with heartbeats', 'upstream_timeout', () => ({
    tokens: 5,
    endDelayMs: FOREVER,
    heartbeatMs: 100,
  })),
];

export const REFUSED_CONNECTION: Fault = refused(
  'Upstream refused / DNS failure',
  'no connection',
  [502, 'upstream_unavailable'],
  {},
);

/** What was seen of one fault at one door. */
export interface Seen {
  readonly row: string;
  readonly what: string;
  readonly adapter: Adapter;
  readonly door: string;
  readonly answer: string;
  readonly ledger: string;
  readonly settledMs: number;
  readonly within: number;
  /** What differs from the catalogue; empty: nothing. */
  readonly wrong: string;
}

export const chatflowOf = ({ chatflows }: Pick<Platform, 'chatflows'>, adapter: Adapter): string =>
  adapter === 'openai' ? chatflows.priced : chatflows.agentflow;

/** Both upstreams cost a credit for each output token, and nothing else. */
export const priceByToken = async ({ admin }: Platform): Promise<void> => {
  const body = { upstream: 'flowise', model: 'AGENTFLOW', mode: 'metered', unitPrices: { output: 1_000_000 } };
  const { status } = await admin.accounting('POST', '/api/pricing', body);
  if (status >= 300) throw new Error(`the price was refused with ${status}`);
};

/** All faults at all doors: one person for each lane, because one's newest hold tells of the fault. */
export async function playFaults(platform: Platform): Promise<Seen[]> {
  const lanes = ADAPTERS.flatMap((adapter) => DOORS.map((door) => ({ adapter, door })));
  const all = await Promise.all(
    lanes.map(async (lane) => {
      const person = await platform.user({ credits: 100_000 });
      const seen: Seen[] = [];
      for (const fault of FAULTS) seen.push(await playFault(platform, person, { fault, ...lane }));
      return seen;
    }),
  );
  return all.flat();
}

const faultOf = (seen: Seen | undefined): string => `${seen?.row} ${seen?.what}`;

/** One line for each fault and each way in which it ended. */
export function summary(seen: readonly Seen[]): string {
  const groups = Map.groupBy(seen, ({ row, what, answer, ledger }) => [row, what, answer, ledger].join(' | '));
  const order = [...new Set(seen.map(faultOf))];
  const inOrder = [...groups].toSorted(
    ([, [one]], [, [other]]) => order.indexOf(faultOf(one)) - order.indexOf(faultOf(other)),
  );
  const rows = inOrder.map(([key, same]) => [
    key,
    [...new Set(same.map(({ adapter }) => adapter))].join(', '),
    [...new Set(same.map(({ door }) => door))].join(', '),
    `${Math.max(...same.map(({ settledMs }) => settledMs))} ms`,
    `${Math.max(...same.map(({ within }) => within))} ms`,
  ]);
  return table(['row', 'fault', 'answer', 'ledger', 'upstreams', 'doors', 'settled after, at most', 'limit'], rows);
}

/** Plays one fault at one door; nobody else may ask in the person's name meanwhile. */
export async function playFault(
  platform: Platform,
  person: Person,
  { fault: played, adapter, door }: { fault: Fault; adapter: Adapter; door: Door },
): Promise<Seen> {
  const fault = { ...played, ...(door.speaksOpenAi && adapter === 'openai' && played.rejected) };
  const text = `Question ${directive(fault.scenario(adapter))}`;
  const heard = await askInTime(() => door.ask(platform, person, { text, chatflowId: chatflowOf(platform, adapter) }));
  const ended = performance.now();
  const hold = await closedHoldOf(platform, person);
  const settledMs = Math.round(performance.now() - ended);
  const { row, what, within } = fault;
  return {
    row,
    what,
    adapter,
    door: door.name,
    answer: answerOf(heard),
    ledger: hold.charged === 0 ? hold.status : `${hold.status} ${hold.charged}`,
    settledMs,
    within,
    wrong: differences(fault, door, { heard, hold, settledMs }).join('; '),
  };
}

/** On a busy machine accounting may be too slow for its two seconds; that is no fault of an upstream, and nothing was asked of it. */
async function askInTime(askOnce: () => Promise<Heard>, triesLeft = 3): Promise<Heard> {
  const heard = await askOnce();
  return heard.code === 'accounting_unavailable' && triesLeft > 0 ? askInTime(askOnce, triesLeft - 1) : heard;
}

const answerOf = ({ status, code, isWhole }: Heard): string => {
  if (status !== 200) return `${status} ${code ?? ''}`;
  return isWhole ? '200, whole' : `200, then ${code ?? 'nothing'}`;
};

interface ClosedHold {
  readonly status: string;
  readonly charged: number;
}

/** The person's newest hold, once it is closed. */
export const closedHoldOf = ({ books }: Platform, { userId }: Person): Promise<ClosedHold> =>
  eventually(async () => {
    const [hold] = await books.query<ClosedHold & Record<string, unknown>>(
      `SELECT status, charged_credits::int AS charged FROM streaming_sessions WHERE user_id = $1 ORDER BY created_at DESC LIMIT 1`,
      [userId],
    );
    return hold?.status === 'active' ? undefined : hold;
  }, 'the hold to close');

function differences(
  fault: Fault,
  door: Door,
  { heard, hold, settledMs }: { heard: Heard; hold: ClosedHold; settledMs: number },
): string[] {
  const hasBegun = fault.status === undefined;
  const expected = {
    code: fault.code,
    isWhole: fault.code === undefined,
    status: hasBegun ? 'settled' : 'voided',
    charged: fault.charged,
    isRefused: fault.code !== undefined && !(hasBegun && door.isStreamed),
    retryAfter: fault.retryAfter,
  };
  const seen = {
    code: heard.code,
    isWhole: heard.isWhole,
    status: hold.status,
    charged: hold.charged,
    isRefused: heard.status >= 400,
    retryAfter: fault.retryAfter === undefined ? undefined : heard.retryAfter,
  };
  const names = Object.keys(expected) as (keyof typeof expected)[];
  return [
    ...names
      .filter((name) => expected[name] !== seen[name])
      .map((name) => `${name} is ${seen[name]}, not ${expected[name]}`),
    ...(fault.status !== undefined && heard.status !== fault.status ? [`${heard.status} is not ${fault.status}`] : []),
    ...(settledMs > fault.within ? [`took ${settledMs} ms`] : []),
  ];
}
