import { AppError } from '@tollgate/http-kit';
import type { User } from '../../domain/user.ts';
import { defaultPlace, type Place } from '../../domain/workspace.ts';
import { DEFAULT_NAME } from './administer-workspaces.ts';
import type { Places } from './places.ts';

type ChooseDeps = { places: Places; defaultWorkspaceId: string };
type Choice = Readonly<{ id: string; name: string; role: Place['role'] }>;

/** Where a login begins: the workspace that was asked for, else the user's own choice, else the only one; several are a question. */
export async function choosePlace(
  { places, defaultWorkspaceId }: ChooseDeps,
  { user, workspaceId }: { user: User; workspaceId?: string },
): Promise<{ place: Place } | { choices: Choice[] }> {
  if (workspaceId !== undefined) {
    const place = await places.find(user, workspaceId);
    if (!place) throw new AppError('NOT_FOUND', 'Workspace not found');
    return { place };
  }
  const own = user.defaultWorkspaceId === undefined ? undefined : await places.find(user, user.defaultWorkspaceId);
  if (own) return { place: own };
  const seats = (await places.seatsOf(user.id)).filter(({ workspace }) => workspace.status === 'active');
  const { role } = user;
  if (seats.length === 0) return { place: defaultPlace(defaultWorkspaceId, user) };
  const choices = seats.map(({ workspace: { id, name }, role: held }) => ({ id, name, role: held }));
  return { choices: [{ id: defaultWorkspaceId, name: DEFAULT_NAME, role }, ...choices] };
}
