import type { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { ApiKey } from '../../domain/api-key.ts';
import type { Ports } from '../../ports.ts';

/** The keys of a user who exists, expired ones until their place is needed. */
export const createListApiKeys = ({ apiKeys, users }: Pick<Ports, 'apiKeys' | 'users'>) =>
  async function listApiKeys(userId: UserId): Promise<ApiKey[]> {
    if (!(await users.find(userId))) throw new AppError('NOT_FOUND', 'User not found');
    return apiKeys.listOf(userId);
  };
