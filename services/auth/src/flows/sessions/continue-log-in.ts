import type { WorkspaceRole } from '@tollgate/contracts';
import type { Origin } from '../../domain/audit-event.ts';
import type { ChallengeKind } from '../../domain/challenge.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { choosePlace } from '../workspaces/choose-place.ts';
import type { Places } from '../workspaces/places.ts';
import { openSession, type OpenSessionDeps, type TokenPair } from './open-session.ts';

/** Somebody who has proven the password, and what else they have proven or asked for since. */
export type Proven = Readonly<{ user: User; origin: Origin; hasSecondFactor: boolean; workspaceId?: string }>;

export type LoggedIn = Readonly<{ kind: 'done'; user: User }> & TokenPair;
/** `second-factor`: a code is asked for. `enrolment`: there is nothing to ask for yet, and there must be. */
export type SecondFactorDue =
  | Readonly<{ kind: 'second-factor'; challenge: string }>
  | Readonly<{ kind: 'enrolment'; challenge: string }>;
type AsksForWorkspace = Readonly<{
  kind: 'workspace';
  workspaces: { id: string; name: string; role: WorkspaceRole }[];
  selectionToken: string;
}>;
export type LogInOutcome = LoggedIn | SecondFactorDue | AsksForWorkspace;

type ContinueDeps = OpenSessionDeps &
  Pick<Ports, 'events'> & {
    places: Places;
    defaultWorkspaceId: string;
    issueChallenge: (kind: ChallengeKind, proven: Proven) => Promise<string>;
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
    const chosen = await choosePlace(deps, proven);
    if ('choices' in chosen) {
      const selectionToken = await deps.issueChallenge('workspace', proven);
      return { kind: 'workspace', workspaces: chosen.choices, selectionToken };
    }
    const { user, origin } = proven;
    const pair = await openSession(deps, { user, place: chosen.place }, origin);
    await deps.events.record({ action: 'session.opened', actorId: user.id, targetId: user.id, origin });
    return { kind: 'done', ...pair, user };
  };
