import type { Origin } from '../../domain/audit-event.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { openSession, type OpenSessionDeps, type TokenPair } from './open-session.ts';

/** Somebody who has proven the password, and what else they have proven or asked for since. */
export type Proven = Readonly<{ user: User; origin: Origin; hasSecondFactor: boolean; workspaceId?: string }>;

export type LoggedIn = Readonly<{ kind: 'done'; user: User }> & TokenPair;
export type LogInOutcome = LoggedIn;

type ContinueDeps = OpenSessionDeps & Pick<Ports, 'events'>;

/**
 * The one way from a proven password to a session. Whoever still owes something gets a challenge in place of tokens; the flow
 * that takes the challenge comes back here with what was proven.
 */
export const createContinueLogIn = (deps: ContinueDeps) =>
  async function continueLogIn({ user, origin }: Proven): Promise<LogInOutcome> {
    const pair = await openSession(deps, user, origin);
    await deps.events.record({ action: 'session.opened', actorId: user.id, targetId: user.id, origin });
    return { kind: 'done', ...pair, user };
  };
