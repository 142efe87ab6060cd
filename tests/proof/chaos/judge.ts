import type { Account, BookedHold, Facts } from './facts.ts';
import { belowFloor, type Floors } from './floor.ts';
import type { Outcome } from './outcome.ts';
import { FIRST_BIT, type Operation, type Schedule } from './schedule.ts';

/** Something that must not be, with the rows that show it. */
export interface Violation {
  readonly invariant: string;
  readonly what: string;
  readonly payer?: number;
  readonly operation?: number;
  readonly rows: readonly unknown[];
}

export interface Case {
  readonly schedule: Schedule;
  readonly outcomes: readonly Outcome[];
  readonly facts: Facts;
  /** Ids of the payers, by their number in the schedule. */
  readonly userIds: readonly string[];
  /** What each was granted before the first operation. */
  readonly granted: number;
  readonly floors: Floors;
  readonly leaseSeconds: number;
}

type Paid = Extract<Operation, { bit: number }>;
interface Judged {
  readonly operation: Paid;
  readonly outcome: Outcome | undefined;
}
/** One payer with everything that was done in its name, and everything the books say. */
interface File {
  readonly payer: number;
  readonly judged: readonly Judged[];
  readonly holds: readonly BookedHold[];
  readonly account: Account | undefined;
  readonly granted: number;
}

/** Compares what clients know with what the books say. Pure: the same case gives the same verdict. */
export function judge(given: Case): Violation[] {
  const files = filesOf(given);
  return [
    ...given.facts.verdicts
      .filter(({ offenders }) => offenders > 0)
      .map(({ invariant, title, offenders, first }) => ({
        invariant,
        what: `${title}: ${offenders} do not`,
        rows: [first],
      })),
    ...given.outcomes.flatMap(ofClients),
    ...(given.facts.journalRows === 0
      ? []
      : [{ invariant: 'I4', what: `proxies still owe ${given.facts.journalRows} ends`, rows: [] }]),
    ...given.facts.processes
      .filter(({ trouble }) => trouble !== undefined)
      .map((dead) => ({ invariant: 'alive', what: `${dead.name} is not ready again`, rows: [dead] })),
    ...missing(given),
    ...ofEstimates(given),
    ...late(given),
    ...belowFloor(given.floors, given.schedule.operations, given.outcomes).map(({ what }) => ({
      invariant: 'floor',
      what,
      rows: [],
    })),
    ...files.flatMap(ofBalance),
    ...files.flatMap(ofHolds),
  ];
}

function filesOf({ schedule, outcomes, facts, userIds, granted }: Case): File[] {
  const byId = new Map(outcomes.map((outcome) => [outcome.id, outcome]));
  const holds = Map.groupBy(facts.holds, ({ userId }) => userId);
  const accounts = new Map(facts.accounts.map((account) => [account.userId, account]));
  const paid = schedule.operations.filter((operation): operation is Paid => 'bit' in operation);
  const byPayer = Map.groupBy(paid, ({ payer }) => payer);
  const estimated = new Set(facts.holds.filter(({ isEstimated }) => isEstimated).map(({ id }) => id));
  return userIds.map((userId, payer) => ({
    payer,
    judged: (byPayer.get(payer) ?? []).map((operation) => ({
      operation,
      outcome: knownPrice(byId.get(operation.id), estimated),
    })),
    holds: holds.get(userId) ?? [],
    account: accounts.get(userId),
    granted,
  }));
}

/**
 * An upstream that is cut off behind its last word has said everything but what it costs: the answer is whole, and is charged by what
 * came through, like one that broke off (credits.md, Outcome policy).
 */
const knownPrice = (outcome: Outcome | undefined, estimated: ReadonlySet<string>): Outcome | undefined =>
  outcome?.verdict === 'done' && outcome.requestIds.some((id) => estimated.has(id))
    ? { ...outcome, verdict: 'maybe' }
    : outcome;

/** Links are cut in so narrow a place only now and then: more of it means that the proxy loses what it is told. */
const MOST_ESTIMATES = { percent: 1, atLeast: 3 } as const;

function ofEstimates({ outcomes, facts }: Case): Violation[] {
  const whole = outcomes.filter(({ verdict, requestIds }) => verdict === 'done' && requestIds.length > 0);
  const estimated = new Set(facts.holds.filter(({ isEstimated }) => isEstimated).map(({ id }) => id));
  const found = whole.filter(({ requestIds }) => requestIds.some((id) => estimated.has(id)));
  const most = Math.max(MOST_ESTIMATES.atLeast, (whole.length * MOST_ESTIMATES.percent) / 100);
  if (found.length <= most) return [];
  const what = `${found.length} of ${whole.length} whole answers were charged by an estimate`;
  return [{ invariant: 'I6', what, rows: found.slice(0, 3) }];
}

const ofClients = ({ id: operation, isHung, ending, wrong }: Outcome): Violation[] => [
  ...(isHung
    ? [{ invariant: 'answered', what: 'a client got neither an answer nor an end', operation, rows: [ending] }]
    : []),
  ...wrong.map((what) => ({ invariant: 'answered', what, operation, rows: [] })),
];

/** Every operation has come to an end that its client knows of, if only that its line was cut. */
const missing = ({ schedule, outcomes }: Case): Violation[] => {
  const known = new Set(outcomes.map(({ id }) => id));
  return schedule.operations
    .filter(({ id }) => !known.has(id))
    .map(({ id }) => ({ invariant: 'answered', what: 'an operation has no outcome', operation: id, rows: [] }));
};

/** An orphan is swept within half a lease of the end of its own (credits.md); a settlement that failed is tried again that late. */
const LEASES_OF_AN_ORPHAN = 1.5;
const LONGEST_RETRY_MS = 30_000;

const late = ({ facts: { quietAfterMs }, leaseSeconds }: Case): Violation[] => {
  const within = LEASES_OF_AN_ORPHAN * leaseSeconds * 1000 + LONGEST_RETRY_MS;
  if (quietAfterMs <= within) return [];
  return [{ invariant: 'I4', what: `the last hold was open for ${quietAfterMs} ms, and at most ${within}`, rows: [] }];
};

const DUST = 2 ** FIRST_BIT;

/** The balance names the operations that were booked: each costs another power of two, and what broke off is less than the first. */
function ofBalance(file: File): Violation[] {
  const { payer, account } = file;
  if (!account) return [{ invariant: 'I1', what: 'a payer has no account', payer, rows: [] }];
  const { available, told, held } = account;
  const violations: Violation[] = [];
  const found = (invariant: string, what: string): void =>
    void violations.push({ invariant, what, payer, rows: [account] });
  if (held !== 0) found('I3', `${held} credits are still held`);
  if (told !== available) found('I1', `the owner is told ${told}, the books say ${available}`);

  violations.push(...ofBits(file, account));
  return violations;
}

function ofBits({ payer, judged, granted }: File, account: Account): Violation[] {
  const booked = decode(
    account.available - granted,
    judged.map(({ operation }) => operation),
  );
  const mostDust = judged.reduce((sum, { operation }) => sum + dustOf(operation), 0);
  const rows = [account];
  const wrongly = judged.flatMap(({ operation, outcome }): Violation[] => {
    const isBooked = booked.bits.has(operation.bit);
    const what =
      outcome?.verdict === 'done' && !isBooked
        ? 'was acknowledged, and the balance does not know it'
        : outcome?.verdict === 'not' && isBooked
          ? 'was refused, and the balance is changed by it'
          : undefined;
    return what === undefined
      ? []
      : [{ invariant: 'I6', what, payer, operation: operation.id, rows: [account, operation] }];
  });
  return [
    ...(booked.rest === 0
      ? []
      : [{ invariant: 'I6', what: `the balance is off by ${booked.rest}, which no operation explains`, payer, rows }]),
    ...(booked.dust <= mostDust
      ? []
      : [
          {
            invariant: 'I6',
            what: `broken answers cost ${booked.dust}, and at most ${mostDust} was produced`,
            payer,
            rows,
          },
        ]),
    ...wrongly,
  ];
}

const isGrant = ({ kind }: Paid): boolean => kind === 'allocate';
const dustOf = (operation: Paid): number => {
  if (operation.kind === 'chat') return operation.tokens;
  // A renewal tells of one unit; the sweeper charges it when nobody settles.
  return operation.kind === 'deliver' ? 1 : 0;
};

/** Which powers of two a change of a balance consists of: grants raise it, everything else lowers it. */
function decode(change: number, operations: readonly Paid[]): { bits: Set<number>; dust: number; rest: number } {
  const spends = operations.filter((operation) => !isGrant(operation));
  // As if all had been spent, so that every bit of the sum stands for one operation.
  const raised = change + spends.reduce((sum, { bit }) => sum + 2 ** bit, 0);
  const whole = Math.ceil(raised / DUST) * DUST;
  let left = whole;
  const bits = new Set<number>();
  for (const operation of operations.toSorted((one, other) => other.bit - one.bit)) {
    const amount = 2 ** operation.bit;
    const isThere = left >= amount;
    if (isThere) left -= amount;
    // For a spend: it is still in the balance, so it was not spent.
    if (isThere === isGrant(operation)) bits.add(operation.bit);
  }
  return { bits, dust: whole - raised, rest: left };
}

/** Each hold by itself: what it costs, in its row, in the ledger and in the log. */
function ofHolds({ payer, judged, holds }: File): Violation[] {
  const byId = new Map(holds.map((hold) => [hold.id, hold]));
  const mostTokens = Math.max(1, ...judged.map(({ operation }) => dustOf(operation)));
  const amounts = new Set(judged.map(({ operation }) => 2 ** operation.bit));
  const found = (invariant: string, what: string, rows: readonly unknown[]) => ({ invariant, what, payer, rows });
  const large = Map.groupBy(
    holds.filter(({ charged }) => charged >= DUST),
    ({ charged }) => charged,
  );
  return [
    ...holds.flatMap((hold) => faultsOf(hold).map(([invariant, what]) => found(invariant, what, [hold]))),
    ...holds
      .filter(({ charged }) => charged < DUST && charged > mostTokens)
      .map((hold) => found('I6', 'more was charged than was produced', [hold])),
    ...[...large].flatMap(([charged, same]) => [
      ...(amounts.has(charged) ? [] : [found('I6', 'a charge that no operation explains', same)]),
      ...(same.length === 1 ? [] : [found('I7', 'one operation was charged twice', same)]),
    ]),
    ...judged.flatMap(({ operation, outcome }) => ofAnswer(operation, outcome, { payer, byId })),
  ];
}

/** A settlement, and corrections of what the lease had ended: one by who found the journal, one by the owner. */
const MOST_SETTLEMENTS = 3;

function faultsOf({ status, charged, ledger, logged, held, overrun, ...hold }: BookedHold): [string, string][] {
  const faults: readonly (readonly [boolean, string, string])[] = [
    [status === 'active', 'I4', 'a hold is open'],
    [charged !== ledger || charged !== logged, 'I6', `charged ${charged}, ledger ${ledger}, log of usage ${logged}`],
    [charged - overrun > held, 'I5', 'more was settled than held'],
    [hold.writtenOff > 0, 'I5', 'something was written off although everybody can pay'],
    [hold.settlements > MOST_SETTLEMENTS, 'I6', `${hold.settlements} settlements of one hold`],
  ];
  return faults.filter(([isSo]) => isSo).map(([, invariant, what]) => [invariant, what]);
}

/** A whole answer is settled once, for exactly its figure; one with a key has one hold that was paid. */
function ofAnswer(
  operation: Paid,
  outcome: Outcome | undefined,
  { payer, byId }: { payer: number; byId: ReadonlyMap<string, BookedHold> },
): Violation[] {
  if (outcome?.verdict !== 'done' || operation.kind !== 'chat') return [];
  const paid = outcome.requestIds.flatMap((id) => byId.get(id) ?? []).filter(({ charged }) => charged > 0);
  const isRight = paid.filter(({ charged }) => charged === 2 ** operation.bit).length === 1;
  if (isRight) return [];
  return [
    {
      invariant: 'I6',
      what: `a whole answer is to cost ${2 ** operation.bit} once`,
      payer,
      operation: operation.id,
      rows: [outcome, ...paid],
    },
  ];
}
