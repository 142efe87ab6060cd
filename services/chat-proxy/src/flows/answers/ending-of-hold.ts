import { type AbsentUsage, type Bill, billFor, lacksUsage, reportsUsage } from '../../domain/price.ts';
import type { Ending } from '../../ports.ts';
import type { OpenHold } from './open-hold.ts';

export const voided = (reason: string): Ending => ({ kind: 'void', reason });

/** What the answer costs as it stands, by our own figures. */
export const billOf = (hold: OpenHold): Bill | undefined => billFor(hold.grant, hold.reply, absentUsageOf(hold));

/** Whether it must not be charged for, because its server has reported no usage. */
export const isUncounted = (hold: OpenHold): boolean => absentUsageOf(hold) === 'fail' && lacksUsage(hold.reply);

/** What never reports usage lacks nothing without it. */
const absentUsageOf = ({ place, absentUsage }: OpenHold): AbsentUsage =>
  reportsUsage(place) ? absentUsage : 'estimate';

export function endingOf(hold: OpenHold): Ending {
  const { reply } = hold;
  const bill = billOf(hold);
  if (!bill)
    return voided(reply.status === 'completed' ? 'nothing was produced' : `${reply.status} before the first token`);
  return {
    kind: 'settle',
    outcome: reply.status,
    units: bill.units,
    usageSource: bill.usageSource,
    ...(reply.rawUsage !== undefined && { rawUsage: reply.rawUsage }),
  };
}
