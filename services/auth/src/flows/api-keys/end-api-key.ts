import type { UserId } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { ApiKey } from '../../domain/api-key.ts';
import type { Origin } from '../../domain/audit-event.ts';
import type { Ports } from '../../ports.ts';
import { revokeKey } from './revoke-key.ts';

type EndDeps = Pick<Ports, 'apiKeys' | 'clock' | 'events' | 'revocations'>;

/**
 * Ends an own key for ever. It is disabled first and told about before it is gone, because a key that is gone cannot say that it
 * has ended: a crash in between leaves one that works nowhere.
 */
export const createDeleteApiKey = (deps: EndDeps) =>
  async function deleteApiKey({ userId }: UserCaller, id: string, origin: Origin): Promise<void> {
    const { apiKeys, clock } = deps;
    const own = { userId, id };
    const ended = (await apiKeys.disable(own, new Date(clock.now()))) ?? (await apiKeys.findOwn(own));
    if (ended) await revokeKey(deps, ended);
    const key = ended && (await apiKeys.remove(own));
    if (!key) throw new AppError('NOT_FOUND');
    const facts = { keyId: id, name: key.name };
    await deps.events.record({ action: 'api-key.deleted', actorId: userId, targetId: userId, origin, facts });
  };

/** Switches off a key of somebody else, who can see that but not undo it. */
export const createDisableApiKeyOfUser = (deps: EndDeps) =>
  async function disableApiKeyOfUser(caller: UserCaller, userId: UserId, id: string, origin: Origin): Promise<ApiKey> {
    const key = await deps.apiKeys.disableAsAdmin({ userId, id }, new Date(deps.clock.now()));
    if (!key) throw new AppError('NOT_FOUND');
    await revokeKey(deps, key);
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
