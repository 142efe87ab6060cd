import { type Door, DOORS } from '../doors.ts';
import { createDraw, type Draw } from '../draw.ts';
import { type Place, PLACES, STEPS, type Victim, VICTIMS } from './steps.ts';

/** One answer of a cycle, and where it stands when something is killed. */
export interface Asked {
  readonly place: Place;
  readonly door: Door;
  readonly upstream: 'openai' | 'flowise';
  readonly tokens: number;
  readonly tokenDelayMs: number;
  /** Comes with an Idempotency-Key, and is repeated with it. */
  readonly hasKey: boolean;
}

/** Everything that happens in one cycle, decided before it begins. */
export interface Cycle {
  readonly id: number;
  readonly victim: Victim;
  /** The first one stands where this cycle is about; the others wait at other places meanwhile. */
  readonly answers: readonly [Asked, ...Asked[]];
  /** Whether the process kills itself at the place, without a moment's delay. */
  readonly isSudden: boolean;
  /** Between the place and the kill. */
  readonly lingerMs: number;
  /** Between the kill and the restart. */
  readonly downMs: number;
}

/** Doors whose answers go into the history, and those that take an Idempotency-Key as a header. */
const isStoring = ({ name }: Door): boolean => !name.startsWith('OpenAI') && name !== 'native, in one piece';
const takesKey = ({ name }: Door): boolean => name !== 'WebSocket';

const MOST_OTHERS = 3;
const PARTS_BEFORE_S5 = 21;

/** The same cycles for the same seed: each victim at each step equally often. */
export function drawCycles({ seed, count }: { readonly seed: number; readonly count: number }): Cycle[] {
  const draw = createDraw(seed);
  const cycles: Cycle[] = [];
  while (cycles.length < count) {
    const round = shuffled(
      draw,
      VICTIMS.flatMap((victim) => STEPS.map((step) => ({ victim, step }))),
    );
    for (const { victim, step } of round) cycles.push(drawCycle(draw, { id: cycles.length, victim, step }));
  }
  return cycles.slice(0, count);
}

/** A cycle in which answers stand at all of these places at once. */
export function drawCycleAt(
  [main, ...others]: readonly Place[],
  { victim, seed }: { readonly victim: Victim; readonly seed: number },
): Cycle {
  const draw = createDraw(seed);
  if (!main) throw new RangeError('there is no place');
  return {
    id: seed,
    victim,
    answers: [drawRepeated(draw, main), ...others.map((place) => drawRepeated(draw, place))],
    isSudden: false,
    lingerMs: 0,
    downMs: 0,
  };
}

/** With a key, at a step where something of the answer may be there already. */
function drawRepeated(draw: Draw, place: Place): Asked {
  const asked = drawAsked(draw, place);
  return REPEATED.has(place.step) ? { ...asked, door: draw.one(DOORS.filter(takesKey)), hasKey: true } : asked;
}
const REPEATED: ReadonlySet<string> = new Set(['s4', 's5', 's6']);

interface Wanted {
  readonly id: number;
  readonly victim: Victim;
  readonly step: string;
}

function drawCycle(draw: Draw, { id, victim, step }: Wanted): Cycle {
  const main = draw.one(PLACES.filter((place) => place.step === step));
  const others = Array.from({ length: draw.whole(MOST_OTHERS + 1) }, () => draw.one(PLACES));
  return {
    id,
    victim,
    answers: [drawAsked(draw, main), ...others.map((place) => drawAsked(draw, place))],
    isSudden: main.of === victim && draw.percent(50),
    lingerMs: draw.one([0, 0, 20, 150, 400]),
    downMs: draw.one([0, 0, 100, 700, 1500]),
  };
}

function drawAsked(draw: Draw, place: Place): Asked {
  const door = draw.one(place.isStored ? DOORS.filter(isStoring) : DOORS);
  return {
    place,
    door,
    upstream: draw.one(['openai', 'openai', 'flowise']),
    tokens: PARTS_BEFORE_S5 + 1 + draw.whole(40),
    tokenDelayMs: draw.one([0, 0, 2, 8]),
    hasKey: takesKey(door) && draw.percent(60),
  };
}

function shuffled<T>(draw: Draw, of: readonly T[]): T[] {
  const left = [...of];
  return Array.from(of, () => left.splice(draw.whole(left.length), 1)).flat();
}
