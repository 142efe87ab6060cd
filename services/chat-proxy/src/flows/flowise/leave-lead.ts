import { AppError } from '@tollgate/http-kit';
import { type Chatflow, isFlow } from '../../domain/chatflow.ts';
import type { Tell } from '../../domain/facts.ts';
import type { Clock, FlowiseSide, Lead, Leads, Owner } from '../../ports.ts';
import type { FindWindow } from './find-window.ts';

/** Of one chatflow, from all people who are not signed in together: chat windows send leads without credentials. */
const MOST_PER_HOUR = 200;
/** From one who is. */
const MOST_OF_ONE = 30;

export interface LeaveLeadDeps {
  readonly findWindow: FindWindow;
  readonly leads: Leads;
  readonly side: Pick<FlowiseSide, 'lead'>;
  readonly newId: () => string;
  readonly clock: Clock;
  readonly tell: Tell;
}

/** Keeps how to reach somebody who asks, and tells Flowise when the flow is its. What was kept before is never told. */
export const createLeaveLead = (deps: LeaveLeadDeps) =>
  async function leaveLead(
    owner: Owner | undefined,
    said: Omit<Lead, 'id' | 'userId' | 'createdAt'>,
    origin: string | undefined,
  ): Promise<Lead> {
    const { findWindow, leads, newId, clock } = deps;
    const chatflow = await findWindow(owner, said.chatflowId, origin);
    const lead = { ...said, id: newId(), ...(owner && { userId: owner.userId }), createdAt: new Date(clock.now()) };
    const kept = await leads.put(lead, owner ? MOST_OF_ONE : MOST_PER_HOUR);
    if (kept === 'too-many') throw new AppError('RATE_LIMITED', 'Too many leads for this chatflow within an hour');
    if (kept.isNew && isFlow(chatflow)) passOn(deps, chatflow, lead);
    return { ...lead, id: kept.id };
  };

/** Under a name that is no conversation's. Nobody waits for it: what is kept here counts. */
function passOn({ side, newId, tell }: LeaveLeadDeps, chatflow: Chatflow, { name, email, phone }: Lead): void {
  const known = { ...(name && { name }), ...(email && { email }), ...(phone && { phone }) };
  void side
    .lead(chatflow, { chatId: newId(), ...known })
    .catch((error: unknown) =>
      tell('upstream_not_told', { of: 'lead', chatflowId: chatflow.id, reason: String(error) }),
    );
}
