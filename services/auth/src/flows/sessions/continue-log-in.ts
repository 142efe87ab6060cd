import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import type { User } from '../../domain/user.ts';
import type { Place } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';
import type { Places } from '../workspaces/places.ts';
import { issueChallenge } from './issue-challenge.ts';
import { openSession, type OpenSessionDeps, type TokenPair } from './open-session.ts';

/** Somebody who has proven the password, and what else they have proven or asked for since. */
export type Proven = Readonly<{ user: User; origin: Origin; hasSecondFactor: boolean; workspaceId?: string }>;

export type LoggedIn = Readonly<{ kind: 'done'; user: User }> & TokenPair;
type Choice = Readonly<{ id: string; name: string; role: Place['role'] }>;
type AsksForWorkspace = Readonly<{ kind: 'workspace'; workspaces: readonly Choice[]; selectionToken: string }>;
export type LogInOutcome = LoggedIn | AsksForWorkspace;

export type ContinueDeps = OpenSessionDeps &
  Pick<Ports, 'challenges' | 'events'> & { places: Places; defaultWorkspaceId: string };

/**
 * The one way from a proven password to a session. Whoever still owes something gets a challenge in place of tokens; the flow
 * that takes the challenge comes back here with what was proven.
 */
export const createContinueLogIn = (deps: ContinueDeps) =>
  async function continueLogIn(proven: Proven): Promise<LogInOutcome> {
    const { user, origin } = proven;
    const place = await choosePlace(deps, proven);
    if ('choices' in place) {
      const selectionToken = await issueChallenge(deps, 'workspace', proven);
      return { kind: 'workspace', workspaces: place.choices, selectionToken };
    }
    const pair = await openSession(deps, { user, place }, origin);
    await deps.events.record({ action: 'session.opened', actorId: user.id, targetId: user.id, origin });
    return { kind: 'done', ...pair, user };
  };

/** The workspace that was asked for, else the user's own choice, else the only one; several are a question. */
async function choosePlace(
  { places, defaultWorkspaceId }: ContinueDeps,
  { user, workspaceId }: Proven,
): Promise<Place | { choices: Choice[] }> {
  if (workspaceId !== undefined) {
    const named = await places.find(user, workspaceId);
    if (!named) throw new AppError('NOT_FOUND', 'Workspace not found');
    return named;
  }
  const own = user.defaultWorkspaceId === undefined ? undefined : await places.find(user, user.defaultWorkspaceId);
  if (own) return own;
  const seats = (await places.seatsOf(user.id)).filter(({ workspace }) => workspace.status === 'active');
  const choices = seats.map(({ workspace: { id, name }, role }) => ({ id, name, role }));
  const first = { id: defaultWorkspaceId, name: 'Default', role: user.role };
  return seats.length > 0 ? { choices: [first, ...choices] } : { workspaceId: defaultWorkspaceId, role: user.role };
}
