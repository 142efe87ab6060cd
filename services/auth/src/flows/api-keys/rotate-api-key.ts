import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { ApiKey } from '../../domain/api-key.ts';
import type { Origin } from '../../domain/audit-event.ts';
import type { Ports } from '../../ports.ts';
import { proveOwner, type ProveOwnerDeps } from './prove-owner.ts';
import { revokeKey } from './revoke-key.ts';

const MILLISECONDS = 1000;

type RotateDeps = ProveOwnerDeps & Pick<Ports, 'apiKeys' | 'events' | 'keySecrets' | 'revocations'>;
type Rotation = Readonly<{ overlapSeconds: number; currentPassword: string }>;

/**
 * Gives a key a new secret. The present one works on until the overlap ends, and never longer than it would have; one that was
 * being rotated out already ends at once. Of several rotations at the same time one counts: no secret is handed out dead.
 */
export const createRotateApiKey = (deps: RotateDeps) =>
  async function rotateApiKey(
    caller: UserCaller,
    id: string,
    { overlapSeconds, currentPassword }: Rotation,
    origin: Origin,
  ): Promise<{ key: ApiKey; text: string }> {
    const { apiKeys, keySecrets, events, clock } = deps;
    const { userId } = caller;
    await deps.limits.spend('access-changes-per-user', userId);
    // Found before the password is checked: whoever rotates meanwhile has rotated this one.
    const before = await apiKeys.findOwn({ userId, id });
    await proveOwner(deps, caller, currentPassword);
    if (!before) throw new AppError('NOT_FOUND');
    const now = clock.now();
    const { text, hash: secretHash } = keySecrets.create(id);
    const overlapMs = Math.min(overlapSeconds * MILLISECONDS, before.expiresAt.getTime() - now);
    const overlapUntil = overlapMs > 0 ? new Date(now + overlapMs) : undefined;
    const endsOlder = before.previous !== undefined && before.previous.until.getTime() > now;
    const endedAt = endsOlder || !overlapUntil ? new Date(now) : undefined;
    const expiresAt = new Date(now + before.lifeMs);
    const key = await apiKeys.rotate(before, { secretHash, overlapUntil, expiresAt, endedAt });
    if (!key) throw new AppError('CONFLICT', 'The key was rotated or deleted by another call');
    if (endedAt) await revokeKey(deps, key);
    const facts = { keyId: id, overlapSeconds };
    await events.record({ action: 'api-key.rotated', actorId: userId, targetId: userId, origin, facts });
    return { key, text };
  };
