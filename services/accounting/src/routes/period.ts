import type { Period } from '../ports.ts';

const DAY_MS = 86_400_000;
const IS_DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Calendar days count whole, in UTC; instants as they are. */
export const periodOf = ({
  startDate,
  endDate,
}: {
  startDate?: string | undefined;
  endDate?: string | undefined;
}): Period => ({
  from: startDate === undefined ? undefined : new Date(startDate),
  until: endDate === undefined ? undefined : new Date(Date.parse(endDate) + (IS_DAY.test(endDate) ? DAY_MS : 0)),
});
