import type { ClosedHold, Hold, Units } from '../../domain/wire-types.ts';
import type { Ending } from '../../ports.ts';

/** What is to be done with the journal row of a silent owner that had decided nothing. */
export type Verdict = Ending | 'leave' | 'strike' | 'bury';

/**
 * The owner may be alive although its journal is not renewed, so that only accounting's lease, on the clock of its database,
 * ends a hold. What the lease has ended may still be charged for progress that accounting has not seen.
 */
export function judgeOrphan(found: Hold | ClosedHold | undefined, journalled: Units | undefined): Verdict {
  // A hold that is still on its way is to find itself closed.
  if (!found) return 'bury';
  if (found.status === 'active') return 'leave';
  const isByLease = found.status === 'expired' || ('outcome' in found && found.outcome === 'recovered');
  if (!isByLease || !journalled || !exceeds(journalled, found.checkpoint ?? {})) return 'strike';
  const units = larger(journalled, found.checkpoint ?? {});
  return { kind: 'settle', outcome: 'recovered', units, usageSource: 'checkpoint' };
}

const classesOf = (units: Units) => Object.keys(units) as (keyof Units)[];

const exceeds = (units: Units, others: Units): boolean =>
  classesOf(units).some((unit) => (units[unit] ?? 0) > (others[unit] ?? 0));

const larger = (one: Units, other: Units): Units =>
  Object.fromEntries(
    [...classesOf(one), ...classesOf(other)].map((unit) => [unit, Math.max(one[unit] ?? 0, other[unit] ?? 0)]),
  );
