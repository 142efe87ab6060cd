import type { UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { ApiKey } from '../../domain/api-key.ts';
import type { Origin } from '../../domain/audit-event.ts';
import type { Ports } from '../../ports.ts';
import { revokeKey } from './revoke-key.ts';

type EndDeps = Pick<Ports, 'apiKeys' | 'clock' | 'events' | 'revocations'>;

/** Ends an own key for ever. */
export const createDeleteApiKey = (deps: EndDeps) =>
  async function deleteApiKey({ userId }: UserCaller, id: string, origin: Origin): Promise<void> {
    const key = await deps.apiKeys.remove({ userId, id });
    if (!key) throw new AppError('NOT_FOUND');
    await revokeKey(deps, id);
    const facts = { keyId: id, name: key.name };
    await deps.events.record({ action: 'api-key.deleted', actorId: userId, targetId: userId, origin, facts });
  };

/** Switches off a key of somebody else, who can see that but not undo it. */
export const createDisableApiKeyOfUser = (deps: EndDeps) =>
  async function disableApiKeyOfUser(caller: UserCaller, userId: UserId, id: string, origin: Origin): Promise<ApiKey> {
    const key = await deps.apiKeys.disableAsAdmin({ userId, id });
    if (!key) throw new AppError('NOT_FOUND');
    await revokeKey(deps, id);
    const facts = { keyId: id, name: key.name };
    const event = {
      action: 'api-key.disabled-by-admin',
      actorId: caller.userId,
      targetId: userId,
      origin,
      facts,
    } as const;
    await deps.events.record(event);
    return key;
  };
