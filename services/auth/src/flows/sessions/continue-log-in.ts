import type { Origin } from '../../domain/audit-event.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { openSession, type OpenSessionDeps, type TokenPair } from './open-session.ts';

/** Somebody who has proven the password, and what else they have proven or asked for since. */
export type Proven = Readonly<{ user: User; origin: Origin; hasSecondFactor: boolean; workspaceId?: string }>;

export type LoggedIn = Readonly<{ kind: 'done'; user: User }> & TokenPair;
/** `second-factor`: a code is asked for. `enrolment`: there is nothing to ask for yet, and there must be. */
export type SecondFactorDue =
  | Readonly<{ kind: 'second-factor'; challenge: string }>
  | Readonly<{ kind: 'enrolment'; challenge: string }>;
export type LogInOutcome = LoggedIn | SecondFactorDue;

type ContinueDeps = OpenSessionDeps &
  Pick<Ports, 'events'> & {
    /** What is still owed before the second factor is settled. */
    secondFactorDue(proven: Proven): Promise<SecondFactorDue | undefined>;
  };

/**
 * The one way from a proven password to a session. Whoever still owes something gets a challenge in place of tokens; the flow
 * that takes the challenge comes back here with what was proven.
 */
export const createContinueLogIn = (deps: ContinueDeps) =>
  async function continueLogIn(proven: Proven): Promise<LogInOutcome> {
    const due = await deps.secondFactorDue(proven);
    if (due) return due;
    const { user, origin } = proven;
    const pair = await openSession(deps, user, origin);
    await deps.events.record({ action: 'session.opened', actorId: user.id, targetId: user.id, origin });
    return { kind: 'done', ...pair, user };
  };
