import type { Period } from '../ports.ts';

const DAY_MS = 86_400_000;
/** A report writes years with four digits. */
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');
const IS_DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Calendar days count whole, in UTC; instants as they are. */
export const periodOf = ({
  startDate,
  endDate,
}: {
  startDate?: string | undefined;
  endDate?: string | undefined;
}): Period => ({
  from: startDate === undefined ? undefined : new Date(Math.min(Date.parse(startDate), LAST_MS)),
  until:
    endDate === undefined
      ? undefined
      : new Date(Math.min(Date.parse(endDate) + (IS_DAY.test(endDate) ? DAY_MS : 0), LAST_MS)),
});
