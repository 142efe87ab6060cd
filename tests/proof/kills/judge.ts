import type { BothBooks, HoldRow } from './both-books.ts';
import type { Cycle } from './plan.ts';
import type { Played } from './played.ts';
import { GRANT, type KillWorld } from './world.ts';

export type Kind = 'lost' | 'double' | 'negative' | 'open' | 'unsure' | 'history';

/** Something that must not be. */
export interface Fault {
  readonly kind: Kind;
  readonly what: string;
}

const NOTHING_PRODUCED: ReadonlySet<string> = new Set(['s0', 's1', 's2', 's3']);
/** The end of the hold is written down before anything of that happens. */
const DECIDED: ReadonlySet<string> = new Set(['s6', 's7', 's8', 's9']);

/** What must be true of an answer once everything runs again (acceptance.md, C.2 and I1-I10). */
export async function judge(world: KillWorld, cycle: Cycle, played: Played): Promise<Fault[]> {
  const { after } = played;
  if (!after) return [{ kind: 'open', what: 'nobody looked' }];
  return [
    ...bookFaults(after),
    ...(cycle.victim === 'P' && played.hasReached ? killedFaults(played, after) : livingFaults(played, after)),
    ...repeatFaults(played, after),
    ...(await upstreamFaults(world, played, after)),
    ...(await historyFaults(world, played, after)),
  ];
}

const fault = (isWrong: boolean, kind: Kind, what: string): Fault[] => (isWrong ? [{ kind, what }] : []);
const chargeOf = ({ holds }: Pick<BothBooks, 'holds'>): number => holds.reduce((sum, { charged }) => sum + charged, 0);
const isCharged = ({ charged }: HoldRow): boolean => charged > 0;

/** True of every answer, whatever was killed. */
function bookFaults(after: BothBooks): Fault[] {
  const { holds, available, debts } = after;
  const spent = GRANT - available;
  return [
    ...fault(
      holds.some(({ status }) => status === 'active'),
      'open',
      'a hold is open',
    ),
    ...fault(debts.length > 0, 'open', 'the journal has a row that nobody ends'),
    ...fault(available < 0, 'negative', `the balance is ${available}`),
    ...fault(spent !== chargeOf(after), 'lost', `the balance fell by ${spent}, and ${chargeOf(after)} was charged`),
    ...fault(holds.filter(isCharged).length > 1, 'double', 'two holds of one answer were charged'),
    ...holds.flatMap(({ id, charged, held, logged, status }) => [
      ...fault(charged > held, 'double', `${id} was charged ${charged} of ${held} held`),
      ...fault(charged !== logged, 'lost', `${id} was charged ${charged}, and its usage says ${logged}`),
      ...fault(status === 'voided' && charged > 0, 'double', `${id} was voided and charged`),
    ]),
  ];
}

/** The process that gave the answer died at the place. */
function killedFaults(played: Played, after: BothBooks): Fault[] {
  const { place, tokens } = played.asked;
  if (!NOTHING_PRODUCED.has(place.step)) return chargeFaults(played, after);
  const charged = chargeOf(after);
  const owed = played.again?.isWhole ? tokens : 0;
  return fault(
    charged !== owed,
    charged > owed ? 'double' : 'lost',
    `${charged} was charged for ${owed}, at ${place.name}`,
  );
}

function chargeFaults({ asked, atKill, first }: Played, after: BothBooks): Fault[] {
  const { tokens } = asked;
  const { checkpoint, isDecided } = knownAtKill(asked, atKill);
  // A repetition may have opened another one.
  const charged = after.holds[0]?.charged ?? 0;
  const wasTold = first?.isWhole === true;
  return [
    ...fault(wasTold && charged !== tokens, 'lost', `${charged} was charged for a whole answer of ${tokens}`),
    ...fault(charged < checkpoint, 'lost', `${charged} was charged, and ${checkpoint} were noted`),
    ...fault(charged > tokens, 'double', `${charged} was charged for ${tokens} tokens`),
    ...fault(isDecided && charged !== tokens, 'lost', `${charged} was charged, and ${tokens} were written down`),
  ];
}

/** What the books said of the answer when its process had died. */
function knownAtKill({ place }: Played['asked'], { holds, debts }: BothBooks = { available: 0, holds: [], debts: [] }) {
  const [hold] = holds;
  const [debt] = debts;
  return {
    checkpoint: Math.max(hold?.output ?? 0, debt?.output ?? 0),
    isDecided: debt?.ending === 'settle' || hold?.status === 'settled' || DECIDED.has(place.step),
  };
}

/** The process that gave the answer lived on, so that it knows all of it. */
function livingFaults({ asked, first, again }: Played, after: BothBooks): Fault[] {
  const { tokens, door } = asked;
  const charged = chargeOf(after);
  if (!first || first.isCut) return [{ kind: 'unsure', what: 'the client was told nothing' }];
  const said = first.usage?.credits;
  if (first.isWhole)
    return [
      ...fault(charged !== tokens, charged > tokens ? 'double' : 'lost', `${charged} was charged for ${tokens} tokens`),
      ...fault(said !== undefined && said !== tokens, 'lost', `the client was told a price of ${said}`),
    ];
  const most = first.status >= 400 && door.isStreamed && !again?.isWhole ? 0 : tokens;
  return [
    ...fault(charged > most, 'double', `${charged} was charged after ${first.status} ${first.code}`),
    ...fault(first.text !== '' && charged === 0, 'lost', 'something was said and nothing was charged'),
  ];
}

/** Repeated with its key, an answer is given and charged once. */
function repeatFaults({ again, key }: Played, after: BothBooks): Fault[] {
  if (key === undefined) return [];
  const charged = chargeOf(after);
  return [
    ...fault(!again || again.isCut, 'unsure', 'the repetition was told nothing'),
    ...fault(charged > 0 && again?.code === 'answer_not_kept', 'lost', 'what was charged cannot be read again'),
    ...fault(again?.code === 'idempotency_in_progress', 'unsure', 'the key is never free'),
    ...fault(again?.isWhole === true && charged === 0, 'lost', 'the repetition was answered, and nobody paid'),
    ...fault(
      again?.usage !== undefined && again.usage.credits !== charged,
      'double',
      `the repetition was told a price of ${again?.usage?.credits}, and ${charged} was charged`,
    ),
  ];
}

/** One completion, one settlement. */
async function upstreamFaults({ fleet }: KillWorld, { marker }: Played, { holds }: BothBooks): Promise<Fault[]> {
  const calls = [...fleet.openai.requests, ...fleet.flowise.requests].filter(({ body }) =>
    JSON.stringify(body).includes(marker),
  ).length;
  return fault(calls > holds.length, 'lost', `the upstream was called ${calls} times with ${holds.length} holds`);
}

/** What was charged is in the history, or is marked as incomplete there. */
async function historyFaults({ debts }: KillWorld, { asked, person }: Played, { holds }: BothBooks): Promise<Fault[]> {
  const unfinished = await debts.unfinished(person.userId);
  const faults = fault(unfinished > 0, 'history', `${unfinished} questions wait for their answer`);
  const charged = holds.find(isCharged);
  if (!charged || !asked.place.isStored) return faults;
  const messages = await debts.messagesOf(charged.id);
  const roles = messages.map(({ role }) => role).toSorted();
  return [
    ...faults,
    ...fault(roles.join() !== 'assistant,user', 'history', `the history has ${roles.join() || 'nothing'}`),
  ];
}
