import type { BookedHold, Facts } from './facts.ts';
import { FLOORS } from './floor.ts';
import type { Case } from './judge.ts';
import type { Outcome } from './outcome.ts';
import { drawSchedule, type Operation } from './schedule.ts';

const GRANTED = 2 ** 30;
const LEASE = 6;
const schedule = drawSchedule({ seed: 7, seconds: 20, rate: 20, instances: { auth: 1, accounting: 1, chatProxy: 1 } });
const userIds = Array.from({ length: schedule.payers }, (_, at) => `payer ${at}`);
type Paid = Extract<Operation, { bit: number }>;
const paid = schedule.operations.filter((operation): operation is Paid => 'bit' in operation);

const holdIdOf = ({ id }: Paid): string => `hold of ${id}`;

const outcomeOf = (operation: Operation): Outcome => ({
  id: operation.id,
  verdict: (['done', 'not', 'maybe'] as const)[operation.id % 3] ?? 'maybe',
  told: operation.id % 3 === 0 ? 2 : 0,
  isHung: false,
  ending: 'imagined',
  requestIds: 'bit' in operation ? [holdIdOf(operation)] : [],
  wrong: [],
});

/** What is booked for it: all when it was acknowledged, nothing when refused, a part of what nobody told. */
function chargeOf(operation: Paid, { verdict }: Outcome): number {
  if (verdict === 'done') return 2 ** operation.bit;
  return verdict === 'maybe' && operation.kind === 'chat' ? 1 : 0;
}

export const holdOf = (operation: Paid, charged: number): BookedHold => ({
  id: holdIdOf(operation),
  userId: userIds[operation.payer] ?? '',
  status: charged > 0 ? 'settled' : 'voided',
  held: 2 ** operation.bit,
  charged,
  overrun: 0,
  writtenOff: 0,
  outcome: 'completed',
  ledger: charged,
  settlements: charged > 0 ? 1 : 0,
  logged: charged,
  logLines: 1,
  isEstimated: false,
});

/** A run that went well, as a case to be judged; without any platform. */
export function imagined(): Case {
  const outcomes = schedule.operations.map(outcomeOf);
  const changes = new Map<number, number>();
  const holds: BookedHold[] = [];
  for (const operation of paid) {
    const charged = chargeOf(operation, outcomeOf(operation));
    const isGrant = operation.kind === 'allocate';
    changes.set(operation.payer, (changes.get(operation.payer) ?? 0) + (isGrant ? charged : -charged));
    if (!isGrant) holds.push(holdOf(operation, charged));
  }
  const facts: Facts = {
    holds,
    accounts: userIds.map((userId, payer) => {
      const available = GRANTED + (changes.get(payer) ?? 0);
      return { userId, available, held: 0, told: available };
    }),
    verdicts: [{ invariant: 'I1', title: 'Balances are the sums of their entries', offenders: 0, first: null }],
    journalRows: 0,
    processes: [],
    quietAfterMs: 0,
  };
  return { schedule, outcomes, facts, userIds, granted: GRANTED, floors: FLOORS, leaseSeconds: LEASE };
}

/** The first operation of this kind that ended like this. */
export function operationOf(kind: Paid['kind'], verdict: Outcome['verdict']): Paid {
  const found = paid.find((operation) => operation.kind === kind && outcomeOf(operation).verdict === verdict);
  if (!found) throw new RangeError(`nothing of kind ${kind} ended ${verdict}`);
  return found;
}
