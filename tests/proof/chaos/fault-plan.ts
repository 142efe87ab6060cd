import { LINKS, type LinkName, type ServiceKey } from '@tollgate/test-kit';
import type { Draw } from '../draw.ts';

export type Instances = Readonly<Record<ServiceKey, number>>;

type LinkEffect =
  | { readonly effect: 'latency'; readonly ms: number }
  | { readonly effect: 'bandwidth'; readonly bytesPerSecond: number }
  | { readonly effect: 'slice'; readonly bytes: number }
  | { readonly effect: 'reset-after'; readonly bytes: number }
  | { readonly effect: 'reset' | 'black-hole' | 'refuse' };

export type FaultKind =
  | ({ readonly kind: 'link'; readonly link: LinkName } & LinkEffect)
  | { readonly kind: 'pause' | 'kill'; readonly service: ServiceKey; readonly instance: number }
  | { readonly kind: 'pause-database' | 'kill-database'; readonly database: 'postgres' | 'mongo' }
  | { readonly kind: 'clock'; readonly service: ServiceKey; readonly instance: number; readonly stepMs: number };

/** What is done to the platform, from `at` for `forMs`; then it is undone. */
export type Fault = FaultKind & { readonly id: number; readonly at: number; readonly forMs: number };

interface Drawing {
  readonly draw: Draw;
  readonly instances: Instances;
}
type Card = (drawing: Drawing) => FaultKind & { readonly forMs: number };

const between = (draw: Draw, least: number, most: number): number => least + draw.whole(most - least + 1);
const anyLink = ({ draw }: Drawing): { kind: 'link'; link: LinkName } => ({ kind: 'link', link: draw.one(LINKS) });
const anyService = ({ draw, instances }: Drawing, service: ServiceKey) => ({
  service,
  instance: draw.whole(instances[service]),
});
const killing =
  (service: ServiceKey): Card =>
  (drawing) => ({ kind: 'kill', ...anyService(drawing, service), forMs: between(drawing.draw, 0, 2500) });
const pausing =
  (service: ServiceKey): Card =>
  (drawing) => ({ kind: 'pause', ...anyService(drawing, service), forMs: between(drawing.draw, 200, 6000) });
const killingDatabase =
  (database: 'postgres' | 'mongo'): Card =>
  ({ draw }) => ({ kind: 'kill-database', database, forMs: between(draw, 0, 1500) });
const pausingDatabase =
  (database: 'postgres' | 'mongo'): Card =>
  ({ draw }) => ({ kind: 'pause-database', database, forMs: between(draw, 200, 2500) });
/** Auth's stays within the tolerance: beyond it a client's session may rightly end. */
const MOST_STEP_SECONDS: Readonly<Record<ServiceKey, number>> = { auth: 25, accounting: 130, chatProxy: 130 };
const steppingClock =
  (service: ServiceKey): Card =>
  (drawing) => {
    const { draw } = drawing;
    const seconds = between(draw, 1, MOST_STEP_SECONDS[service]) * draw.one([-1, 1]);
    return {
      kind: 'clock',
      ...anyService(drawing, service),
      stepMs: seconds * 1000,
      forMs: between(draw, 500, 6000),
    };
  };

/** Every kind of fault is dealt once before one comes again. */
const DECK: readonly Card[] = [
  (on) => ({ ...anyLink(on), effect: 'latency', ms: between(on.draw, 5, 400), forMs: between(on.draw, 500, 5000) }),
  (on) => ({
    ...anyLink(on),
    effect: 'bandwidth',
    bytesPerSecond: between(on.draw, 2, 40) * 1024,
    forMs: between(on.draw, 500, 4000),
  }),
  (on) => ({ ...anyLink(on), effect: 'slice', bytes: between(on.draw, 1, 40), forMs: between(on.draw, 200, 2000) }),
  (on) => ({
    ...anyLink(on),
    effect: 'reset-after',
    bytes: between(on.draw, 100, 4000),
    forMs: between(on.draw, 300, 2000),
  }),
  (on) => ({ ...anyLink(on), effect: 'reset', forMs: 0 }),
  (on) => ({ ...anyLink(on), effect: 'reset', forMs: 0 }),
  (on) => ({ ...anyLink(on), effect: 'black-hole', forMs: between(on.draw, 300, 4000) }),
  (on) => ({ ...anyLink(on), effect: 'refuse', forMs: between(on.draw, 300, 3000) }),
  killing('chatProxy'),
  killing('chatProxy'),
  killing('accounting'),
  killing('auth'),
  pausing('chatProxy'),
  pausing('accounting'),
  pausing('auth'),
  killingDatabase('postgres'),
  killingDatabase('mongo'),
  pausingDatabase('postgres'),
  pausingDatabase('mongo'),
  steppingClock('chatProxy'),
  steppingClock('accounting'),
  steppingClock('auth'),
];

const FIRST_FAULT_MS = 500;
const SHORTEST_GAP_MS = 200;
/** Between the beginnings of two faults, when nothing else is said. */
const LONGEST_GAP_MS = 5000;
const CALM_END_MS = 1000;

/** Faults one after the other and over each other, but never two at the same target. */
export function drawFaults(
  draw: Draw,
  options: { readonly seconds: number; readonly instances: Instances; readonly longestGapMs?: number | undefined },
): Fault[] {
  const { seconds, instances, longestGapMs = LONGEST_GAP_MS } = options;
  const faults: Fault[] = [];
  const busyUntil = new Map<string, number>();
  let deck: Card[] = [];
  // The last ones are undone before the end.
  for (let at = FIRST_FAULT_MS; at < seconds * 1000 - CALM_END_MS; at += between(draw, SHORTEST_GAP_MS, longestGapMs)) {
    if (deck.length === 0) deck = shuffled(draw, DECK);
    const card = deck.pop();
    const drawn = card?.({ draw, instances });
    if (!drawn || (busyUntil.get(targetOf(drawn)) ?? 0) > at) continue;
    busyUntil.set(targetOf(drawn), at + drawn.forMs + SETTLES_MS);
    faults.push({ id: faults.length, at, ...drawn });
  }
  return faults;
}

/** What was killed needs this long to be back. */
const SETTLES_MS = 1500;

export function targetOf(fault: FaultKind): string {
  if (fault.kind === 'link') return fault.link;
  if ('database' in fault) return fault.database;
  return fault.kind === 'clock' ? `the clock of ${fault.service}` : `${fault.service} ${fault.instance}`;
}

function shuffled<T>(draw: Draw, of: readonly T[]): T[] {
  const left = [...of];
  return Array.from(of, () => left.splice(draw.whole(left.length), 1)[0] as T);
}
