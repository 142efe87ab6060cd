import { type KeyLimits, type KeyScope, roleHasScope } from '@tollgate/contracts';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import { type ApiKey, MOST_KEYS, statusOf } from '../../domain/api-key.ts';
import type { Origin } from '../../domain/audit-event.ts';
import type { Ports } from '../../ports.ts';
import { proveOwner, type ProveOwnerDeps } from './prove-owner.ts';

type CreateDeps = ProveOwnerDeps &
  Pick<Ports, 'apiKeys' | 'events' | 'keyLimitBook' | 'keySecrets' | 'mailQueue'> & {
    keyLives: Readonly<{ standardMs: number; longestMs: number }>;
    defaultWorkspaceId: string;
  };
type NewKey = Readonly<{
  name: string;
  scopes: readonly KeyScope[];
  expiresAt?: string | undefined;
  limits?: KeyLimits | undefined;
  currentPassword: string;
}>;

/** Makes a key that may do no more than its maker. The text of it is in this answer and nowhere else. */
export const createCreateApiKey = (deps: CreateDeps) =>
  async function createApiKey(
    caller: UserCaller,
    wanted: NewKey,
    origin: Origin,
  ): Promise<{ key: ApiKey; text: string }> {
    const { apiKeys, keySecrets, events, mailQueue, clock } = deps;
    const { name, scopes, limits } = wanted;
    const beyond = scopes.find((scope) => !roleHasScope(caller.role, scope));
    if (beyond !== undefined) throw new AppError('FORBIDDEN', `You may not do this yourself: ${beyond}`);
    const lifeMs = lifeOf(deps, wanted.expiresAt);
    await deps.limits.spend('access-changes-per-user', caller.userId);
    const { id: userId } = await proveOwner(deps, caller, wanted.currentPassword);

    const id = keySecrets.id();
    const { text, hash: secretHash } = keySecrets.create(id);
    const now = clock.now();
    const key: ApiKey = {
      id,
      userId,
      workspaceId: caller.workspaceId ?? deps.defaultWorkspaceId,
      name,
      scopes,
      secretHash,
      lifeMs,
      createdAt: new Date(now),
      expiresAt: new Date(now + lifeMs),
      ...(limits && { limits }),
      limitsRevision: 0,
    };
    if (limits) await bookLimits(deps, key, limits);
    if (!(await apiKeys.insert(key, new Date(now)))) throw tooMany();
    await mailQueue.add({ kind: 'api-key-created', userId }, new Date(now));
    const facts = { keyId: id, name, scopes: scopes.join(' ') };
    await events.record({ action: 'api-key.created', actorId: userId, targetId: userId, origin, facts });
    return { key, text };
  };

function lifeOf({ clock, keyLives }: CreateDeps, expiresAt: string | undefined): number {
  if (expiresAt === undefined) return keyLives.standardMs;
  const lifeMs = Date.parse(expiresAt) - clock.now();
  if (lifeMs <= 0) throw new AppError('VALIDATION_FAILED', 'This key would have expired already');
  if (lifeMs > keyLives.longestMs) throw new AppError('VALIDATION_FAILED', 'A key may not live so long');
  return lifeMs;
}

/** Before the key is there, so that it never works without them. Who has no room for a key leaves no limits behind. */
async function bookLimits({ apiKeys, keyLimitBook, clock }: CreateDeps, key: ApiKey, limits: KeyLimits): Promise<void> {
  const living = (await apiKeys.listOf(key.userId)).filter((other) => statusOf(other, clock.now()) !== 'expired');
  if (living.length >= MOST_KEYS) throw tooMany();
  if (!keyLimitBook) throw noLimits();
  await keyLimitBook.set(key.id, key.limitsRevision, limits);
}

const tooMany = () => new AppError('CONFLICT', `You have ${MOST_KEYS} keys; delete one first`);

/** This installation has not told us where accounting is. */
export const noLimits = () => new AppError('VALIDATION_FAILED', 'Limits of keys are not available here');
