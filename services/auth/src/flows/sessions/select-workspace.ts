import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { siteOf } from '../../domain/client-address.ts';
import { mayLogIn } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import type { Places } from '../workspaces/places.ts';
import type { createContinueLogIn, LoggedIn } from './continue-log-in.ts';

type SelectDeps = Pick<Ports, 'challenges' | 'clock' | 'limits' | 'secrets' | 'users'> & {
  places: Places;
  continueLogIn: ReturnType<typeof createContinueLogIn>;
};

const isOver = () => new AppError('INVALID_CHALLENGE');

/** Goes on with a login that asked for a workspace. A wrong choice leaves the selection token usable; a right one uses it up. */
export const createSelectWorkspace = (deps: SelectDeps) =>
  async function selectWorkspace(selectionToken: string, workspaceId: string, origin: Origin): Promise<LoggedIn> {
    await deps.limits.spend('log-in-per-address', siteOf(origin.ip));
    const hashes = deps.secrets.challengeHashes(selectionToken);
    const now = new Date(deps.clock.now());
    const challenge = await deps.challenges.find('workspace', hashes, now);
    const user = challenge && (await deps.users.find(challenge.userId));
    if (!user || !mayLogIn(user) || user.tokenVersion !== challenge.tokenVersion) throw isOver();
    if (!(await deps.places.find(user, workspaceId))) throw new AppError('NOT_FOUND', 'Workspace not found');
    if (!(await deps.challenges.take('workspace', challenge.hash, now))) throw isOver();
    const { hasSecondFactor } = challenge;
    const outcome = await deps.continueLogIn({ user, origin, hasSecondFactor, workspaceId });
    if (outcome.kind !== 'done') throw isOver();
    return outcome;
  };
