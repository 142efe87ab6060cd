import { z } from 'zod';
import { Credits } from '../../credits.ts';
import { Timestamp, WorkspaceId } from '../../ids.ts';
import { operation } from '../../operation.ts';

const params = z.strictObject({ workspaceId: WorkspaceId });

export const Billing = z.object({
  workspaceId: WorkspaceId,
  /** Who pays for what its members ask: each for itself, or the pool of the workspace. */
  billing: z.enum(['user', 'pool']),
  /** The account to allocate credits to. */
  poolId: z.string(),
  available: Credits,
  held: Credits,
  updatedAt: Timestamp.nullable(),
});

export const readBilling = operation({
  id: 'readBilling',
  method: 'GET',
  path: '/api/workspaces/:workspaceId/billing',
  summary: 'Who pays for a workspace, and what its pool holds',
  permission: 'workspaces:bill',
  params,
  result: Billing,
});

export const setBilling = operation({
  id: 'setBilling',
  method: 'PUT',
  path: '/api/workspaces/:workspaceId/billing',
  summary: 'Let a workspace pay from its pool, or its members for themselves; open holds keep their payer',
  permission: 'workspaces:bill',
  params,
  body: z.strictObject({ billing: z.enum(['user', 'pool']) }),
  result: Billing,
});
