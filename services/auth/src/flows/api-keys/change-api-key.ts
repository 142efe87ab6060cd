import type { KeyLimits } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { ApiKey } from '../../domain/api-key.ts';
import type { Origin } from '../../domain/audit-event.ts';
import type { Ports } from '../../ports.ts';
import { noLimits } from './create-api-key.ts';
import { revokeKey } from './revoke-key.ts';

type ChangeDeps = Pick<Ports, 'apiKeys' | 'clock' | 'events' | 'keyLimitBook' | 'limits' | 'revocations'>;
type Changes = Readonly<{
  name?: string | undefined;
  disabled?: boolean | undefined;
  limits?: KeyLimits | null | undefined;
}>;

/** Changes an own key. New limits count before this answers; the old ones do until then. */
export const createChangeApiKey = (deps: ChangeDeps) =>
  async function changeApiKey({ userId }: UserCaller, id: string, changes: Changes, origin: Origin): Promise<ApiKey> {
    const { apiKeys, events } = deps;
    const { name, disabled, limits } = changes;
    // Whoever has lost a key can end it at any time.
    if (disabled !== true) await deps.limits.spend('access-changes-per-user', userId);
    let key = await apiKeys.findOwn({ userId, id });
    // What may be refused comes first, so that a refusal leaves nothing half done.
    if (key && limits !== undefined) key = await changeLimits(deps, key, limits ?? {});
    if (key && disabled !== undefined) key = await setDisabled(deps, key, disabled);
    if (key && name !== undefined) key = await apiKeys.rename(key, name);
    if (!key) throw new AppError('NOT_FOUND');
    const facts = factsOf(id, changes);
    await events.record({ action: 'api-key.changed', actorId: userId, targetId: userId, origin, facts });
    return key;
  };

const factsOf = (keyId: string, { name, disabled, limits }: Changes) => ({
  keyId,
  ...(name !== undefined && { name }),
  ...(disabled !== undefined && { disabled }),
  ...(limits !== undefined && { limits: JSON.stringify(limits) }),
});

async function changeLimits(
  { apiKeys, keyLimitBook }: ChangeDeps,
  key: ApiKey,
  limits: KeyLimits,
): Promise<ApiKey | undefined> {
  if (!keyLimitBook) throw noLimits();
  const begun = await apiKeys.beginLimits(key);
  if (!begun) return undefined;
  await keyLimitBook.set(begun.id, begun.limitsRevision, limits);
  const changed = await apiKeys.setLimits(begun, limits);
  if (!changed && (await apiKeys.findOwn(key)))
    throw new AppError('CONFLICT', 'The limits were changed by another call');
  return changed;
}

async function setDisabled(deps: ChangeDeps, key: ApiKey, isDisabled: boolean): Promise<ApiKey | undefined> {
  const { apiKeys, clock } = deps;
  if (isDisabled && key.disabledBy === 'owner') {
    // Told again as the same: the attempt before this one may have failed there.
    await revokeKey(deps, key);
    return key;
  }
  const changed = isDisabled ? await apiKeys.disable(key, new Date(clock.now())) : await apiKeys.enable(key);
  if (!changed && (await apiKeys.findOwn(key)))
    throw new AppError('FORBIDDEN', 'An administrator has disabled this key');
  if (changed && isDisabled) await revokeKey(deps, changed);
  return changed;
}
