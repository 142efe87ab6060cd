import type { Period } from '../ports.ts';

const DAY_MS = 86_400_000;
/** A report writes years with four digits. */
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');
/** The calendar of the database has no year 0. */
const FIRST_MS = Date.parse('0001-01-01T00:00:00Z');
const within = (ms: number): Date => new Date(Math.min(Math.max(ms, FIRST_MS), LAST_MS));
const IS_DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Calendar days count whole, in UTC; instants as they are. */
export const periodOf = ({
  startDate,
  endDate,
}: {
  startDate?: string | undefined;
  endDate?: string | undefined;
}): Period => ({
  from: startDate === undefined ? undefined : within(Date.parse(startDate)),
  until: endDate === undefined ? undefined : within(Date.parse(endDate) + (IS_DAY.test(endDate) ? DAY_MS : 0)),
});
