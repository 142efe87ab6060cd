import { DOORS } from '../doors.ts';
import { createDraw, type Draw } from '../draw.ts';
import { drawFaults, type Fault, type Instances } from './fault-plan.ts';

/** Everything that will happen, decided before anything does: the same for the same options. */
export interface Schedule {
  readonly options: ScheduleOptions;
  /** How many people pay for what is asked; one of them for at most `BITS_A_PAYER` operations. */
  readonly payers: number;
  readonly sessions: number;
  readonly operations: readonly Operation[];
  readonly faults: readonly Fault[];
  /** To be played after all that, for as long as too little was acknowledged; `at` says nothing then. */
  readonly more: readonly Operation[];
}

export interface ScheduleOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Operations a second. */
  readonly rate: number;
  readonly instances: Instances;
  /** Between the beginnings of two faults. */
  readonly longestGapMs?: number;
  /** So many more operations than the time holds; none when absent. */
  readonly more?: number;
}

/** Operations cost a payer different powers of two, so that the balance names those that were paid. */
export const FIRST_BIT = 10;
const BITS_A_PAYER = 14;
/** So long may an answer be that what broken ones cost stays below the first power of two. */
const MOST_TOKENS = 60;

interface Planned {
  readonly id: number;
  /** Milliseconds from the beginning. */
  readonly at: number;
}

interface Paid extends Planned {
  readonly payer: number;
  /** It costs 2 to this power when it is done. */
  readonly bit: number;
}

/** What becomes of an answer besides being read to its end. */
export type Way =
  | { readonly how: 'read' }
  | { readonly how: 'leave'; readonly after: number }
  | { readonly how: 'stop'; readonly after: number }
  | { readonly how: 'slow'; readonly paceMs: number }
  | { readonly how: 'repeat'; readonly copies: number };

export type UpstreamFault = 'reset' | 'cut' | 'error' | 'status' | undefined;

export interface Chat extends Paid {
  readonly kind: 'chat';
  readonly door: string;
  readonly upstream: 'openai' | 'flowise';
  readonly tokens: number;
  readonly tokenDelayMs: number;
  readonly firstTokenDelayMs: number;
  readonly way: Way;
  readonly fault: UpstreamFault;
  /** Tokens before the upstream's fault. */
  readonly faultAfter: number;
}

/** Spending, or granting, at once: sent so many times with one key, some of them side by side. */
export interface Movement extends Paid {
  readonly kind: 'deduct' | 'allocate';
  readonly copies: number;
}

/** A hold and the messages about it as a bad line delivers them: several times, and in any order. */
export interface Delivery extends Paid {
  readonly kind: 'deliver';
  readonly messages: readonly ('settle' | 'void' | 'renew')[];
  readonly sideBySide: boolean;
}

export interface Refresh extends Planned {
  readonly kind: 'refresh';
  readonly session: number;
}

export interface Look extends Planned {
  readonly kind: 'look';
  readonly payer: number;
  readonly at: number;
}

export type Operation = Chat | Movement | Delivery | Refresh | Look;
/** An operation without its place in the schedule. */
type Drawn = { [Kind in Operation as Kind['kind']]: Omit<Kind, 'id' | 'at'> }[Operation['kind']];

const PAYERS_AT_ONCE = 12;
const SESSIONS = 6;
const HTTP_DOORS = DOORS.filter(({ name }) => name !== 'WebSocket');
/** They tell the id of an answer with its first piece. */
const DOORS_THAT_STOP = DOORS.filter(({ name }) => name.startsWith('native, ') && !name.endsWith('piece'));
const STREAMING_DOORS = DOORS.filter(({ isStreamed }) => isStreamed);

export function drawSchedule(options: ScheduleOptions): Schedule {
  const draw = createDraw(options.seed);
  const purses = createPurses(draw);
  const operations: Operation[] = [];
  const end = options.seconds * 1000;
  for (let at = pauseMs(draw, options.rate); at < end; at += pauseMs(draw, options.rate)) {
    operations.push({ id: operations.length, at: Math.round(at), ...drawOperation(draw, purses) });
  }
  const more = Array.from(
    { length: options.more ?? 0 },
    (_, at): Operation => ({
      id: operations.length + at,
      at: end,
      ...drawOperation(draw, purses),
    }),
  );
  const faults = drawFaults(createDraw(options.seed + 1), options);
  return { options, payers: purses.count, sessions: SESSIONS, operations, faults, more };
}

/** As calls of many people who know nothing of each other come in. */
const pauseMs = (draw: Draw, rate: number): number => (-Math.log(1 - draw.whole(1_000_000) / 1_000_000) * 1000) / rate;

interface Purses {
  readonly count: number;
  next(): { readonly payer: number; readonly bit: number };
  any(): number;
}

function createPurses(draw: Draw): Purses {
  let count = 0;
  const open = () => ({ payer: count++, left: Array.from({ length: BITS_A_PAYER }, (_, at) => FIRST_BIT + at) });
  const purses = Array.from({ length: PAYERS_AT_ONCE }, open);
  return {
    get count() {
      return count;
    },
    next() {
      const at = draw.whole(purses.length);
      const purse = purses[at] ?? open();
      const [bit = FIRST_BIT] = purse.left.splice(draw.whole(purse.left.length), 1);
      if (purse.left.length === 0) purses[at] = open();
      return { payer: purse.payer, bit };
    },
    any: () => purses[draw.whole(purses.length)]?.payer ?? 0,
  };
}

function drawOperation(draw: Draw, purses: Purses): Drawn {
  const chance = draw.whole(100);
  if (chance < 62) return drawChat(draw, purses.next());
  if (chance < 72) return { kind: 'deduct', ...purses.next(), copies: draw.one([1, 1, 2, 3]) };
  if (chance < 80) return { kind: 'allocate', ...purses.next(), copies: draw.one([1, 1, 2, 3]) };
  if (chance < 88) return drawDelivery(draw, purses.next());
  if (chance < 94) return { kind: 'refresh', session: draw.whole(SESSIONS) };
  return { kind: 'look', payer: purses.any() };
}

function drawChat(draw: Draw, paid: { readonly payer: number; readonly bit: number }): Omit<Chat, 'id' | 'at'> {
  const tokens = draw.percent(75) ? 1 + draw.whole(12) : 12 + draw.whole(MOST_TOKENS - 11);
  const way = drawWay(draw, tokens);
  const fault =
    way.how === 'read' && draw.percent(15) ? draw.one(['reset', 'cut', 'error', 'status'] as const) : undefined;
  return {
    kind: 'chat',
    ...paid,
    door: draw.one(doorsFor(way)).name,
    upstream: draw.one(['openai', 'openai', 'flowise'] as const),
    tokens,
    tokenDelayMs: draw.one([0, 0, 5, 20, 60]),
    firstTokenDelayMs: draw.one([0, 0, 20, 200, 800]),
    way,
    fault,
    faultAfter: draw.whole(tokens),
  };
}

function drawWay(draw: Draw, tokens: number): Way {
  const chance = draw.whole(100);
  const after = 1 + draw.whole(tokens);
  if (chance < 60) return { how: 'read' };
  if (chance < 72) return { how: 'leave', after };
  if (chance < 80) return { how: 'stop', after };
  if (chance < 85) return { how: 'slow', paceMs: 10 + draw.whole(60) };
  return { how: 'repeat', copies: 1 + draw.whole(3) };
}

const doorsFor = ({ how }: Way) =>
  ({ read: DOORS, leave: STREAMING_DOORS, stop: DOORS_THAT_STOP, slow: HTTP_DOORS, repeat: HTTP_DOORS })[how];

const drawDelivery = (draw: Draw, paid: { readonly payer: number; readonly bit: number }): Drawn => ({
  kind: 'deliver',
  ...paid,
  messages: Array.from({ length: 1 + draw.whole(5) }, () =>
    draw.one(['settle', 'settle', 'settle', 'renew', 'void'] as const),
  ),
  sideBySide: draw.percent(60),
});
