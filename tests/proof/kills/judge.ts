import type { Books, HoldRow } from './books-of-answer.ts';
import type { Cycle } from './plan.ts';
import type { Played } from './run-cycle.ts';
import type { KillWorld } from './world.ts';

export type Kind = 'lost' | 'double' | 'negative' | 'open' | 'unsure' | 'history';

/** Something that must not be. */
export interface Fault {
  readonly kind: Kind;
  readonly what: string;
}

const NOTHING_PRODUCED: ReadonlySet<string> = new Set(['s0', 's1', 's2', 's3']);
const SETTLED: ReadonlySet<string> = new Set(['s8', 's9']);

/** What must be true of an answer once everything runs again (acceptance.md, C.2 and I1-I10). */
export async function judge(world: KillWorld, cycle: Cycle, played: Played): Promise<Fault[]> {
  const { after, before } = played;
  if (!after) return [{ kind: 'open', what: 'nobody looked' }];
  return [
    ...bookFaults(before, after),
    ...(cycle.victim === 'P' && played.hasReached ? killedFaults(played, after) : livingFaults(played, after)),
    ...repeatFaults(played, after),
    ...(await upstreamFaults(world, played, after)),
    ...(await historyFaults(world, played, after)),
  ];
}

const fault = (isWrong: boolean, kind: Kind, what: string): Fault[] => (isWrong ? [{ kind, what }] : []);
const chargeOf = ({ holds }: Pick<Books, 'holds'>): number => holds.reduce((sum, { charged }) => sum + charged, 0);
const isCharged = ({ charged }: HoldRow): boolean => charged > 0;

/** True of every answer, whatever was killed. */
function bookFaults(before: Books, after: Books): Fault[] {
  const { holds, available, debts } = after;
  const spent = before.available - available;
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
function killedFaults({ asked, atKill, first, again }: Played, after: Books): Fault[] {
  const { place, tokens } = asked;
  const [hold] = after.holds;
  const [known] = atKill?.holds ?? [];
  const [debt] = atKill?.debts ?? [];
  // Which of the holds was the first one's, a repetition may have opened another.
  const charged = hold?.charged ?? 0;
  const checkpoint = Math.max(known?.output ?? 0, debt?.output ?? 0);
  const isDecided = debt?.ending === 'settle' || known?.status === 'settled' || place.step === 's7';
  if (first?.isWhole && !SETTLED.has(place.step))
    return [{ kind: 'unsure', what: `a whole answer came out at ${place.name}` }];
  if (NOTHING_PRODUCED.has(place.step)) {
    const all = chargeOf(after);
    const owed = again?.isWhole ? tokens : 0;
    return fault(all !== owed, all > owed ? 'double' : 'lost', `${all} was charged for ${owed} at ${place.name}`);
  }
  return [
    ...fault(charged < checkpoint, 'lost', `${charged} was charged, and ${checkpoint} were noted`),
    ...fault(charged > tokens, 'double', `${charged} was charged for ${tokens} tokens`),
    ...fault(isDecided && charged !== tokens, 'lost', `${charged} was charged for ${tokens} tokens that were counted`),
  ];
}

/** The process that gave the answer lived on, so that it knows all of it. */
function livingFaults({ asked, first, again }: Played, after: Books): Fault[] {
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
function repeatFaults({ again, key }: Played, after: Books): Fault[] {
  if (key === undefined) return [];
  const charged = chargeOf(after);
  return [
    ...fault(!again || again.isCut, 'unsure', 'the repetition was told nothing'),
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
async function upstreamFaults({ fleet }: KillWorld, { marker }: Played, { holds }: Books): Promise<Fault[]> {
  const calls = [...fleet.openai.requests, ...fleet.flowise.requests].filter(({ body }) =>
    JSON.stringify(body).includes(marker),
  ).length;
  return fault(calls > holds.length, 'lost', `the upstream was called ${calls} times with ${holds.length} holds`);
}

/** What was charged is in the history, or is marked as incomplete there. */
async function historyFaults({ debts }: KillWorld, { asked, person }: Played, { holds }: Books): Promise<Fault[]> {
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
