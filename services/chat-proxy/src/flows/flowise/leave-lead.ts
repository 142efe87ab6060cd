import { AppError } from '@tollgate/http-kit';
import type { Clock, Lead, Leads, Owner } from '../../ports.ts';
import type { FindWindow } from './find-window.ts';

/** Of one chatflow, from people who are not signed in: chat windows send leads without credentials. */
const MOST_PER_HOUR = 200;

export interface LeaveLeadDeps {
  readonly findWindow: FindWindow;
  readonly leads: Leads;
  readonly newId: () => string;
  readonly clock: Clock;
}

/** Keeps how to reach somebody who asks. What was kept before is never told. */
export const createLeaveLead = ({ findWindow, leads, newId, clock }: LeaveLeadDeps) =>
  async function leaveLead(
    owner: Owner | undefined,
    said: Omit<Lead, 'id' | 'userId' | 'createdAt'>,
    origin: string | undefined,
  ): Promise<Lead> {
    await findWindow(owner, said.chatflowId, origin);
    const lead = { ...said, id: newId(), ...(owner && { userId: owner.userId }), createdAt: new Date(clock.now()) };
    const kept = await leads.put(lead, MOST_PER_HOUR);
    if (kept === 'too-many') throw new AppError('RATE_LIMITED', 'Too many leads for this chatflow within an hour');
    return { ...lead, ...kept };
  };
