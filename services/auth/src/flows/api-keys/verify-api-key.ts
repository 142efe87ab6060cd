import { type auth, type Role, roleHasScope } from '@tollgate/contracts';
import { idOfKey } from '@tollgate/http-kit';
import { type ApiKey, isUseNews, secretEnd, statusOf } from '../../domain/api-key.ts';
import { mayLogIn } from '../../domain/user.ts';
import { claimedRole } from '../../domain/workspace.ts';
import type { Ports } from '../../ports.ts';
import type { Places } from '../workspaces/places.ts';

type VerifyDeps = Pick<Ports, 'apiKeys' | 'clock' | 'keySecrets' | 'users'> & {
  places: Pick<Places, 'find'>;
  defaultWorkspaceId: string;
};

/** Whom a key stands for and what it may do now: never more than its owner may now. Undefined for one that does not count. */
export const createVerifyApiKey = (deps: VerifyDeps) =>
  async function verifyApiKey(text: string, ip?: string): Promise<auth.VerifiedKey | undefined> {
    const now = deps.clock.now();
    const id = idOfKey(text);
    const key = id === undefined ? undefined : await deps.apiKeys.find(id);
    const end = key && secretEnd(key, deps.keySecrets.hash(text), now);
    if (!end || statusOf(key, now) !== 'active') return undefined;
    const user = await deps.users.find(key.userId);
    if (!user || !mayLogIn(user)) return undefined;
    const place = await deps.places.find(user, key.workspaceId);
    if (!place) return undefined;
    if (isUseNews(key, now)) await deps.apiKeys.noteUse(key.id, new Date(now), ip);
    const role = claimedRole(user, place, deps.defaultWorkspaceId);
    const { memberVersion } = place;
    return {
      keyId: key.id,
      user: { id: user.id, username: user.username, email: user.email, role },
      workspaceId: key.workspaceId,
      workspaceRole: place.role,
      scopes: scopesOf(key, role),
      limits: key.limits ?? null,
      expiresAt: end.toISOString(),
      verifiedAt: new Date(now).toISOString(),
      version: user.tokenVersion,
      ...(memberVersion !== undefined && { memberVersion }),
    };
  };

const scopesOf = ({ scopes }: ApiKey, role: Role) => scopes.filter((scope) => roleHasScope(role, scope));
