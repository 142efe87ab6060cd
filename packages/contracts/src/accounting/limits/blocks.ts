import { z } from 'zod';
import { line } from '../accounting-text.ts';
import { Timestamp } from '../../ids.ts';
import { operation, PageQuery } from '../../operation.ts';

const params = z.strictObject({ kind: z.enum(['user', 'workspace', 'key']), id: line(200) });

export const Block = z.object({
  kind: params.shape.kind,
  id: z.string(),
  reason: z.string(),
  blockedBy: z.string(),
  blockedAt: Timestamp,
});

export const blockSubject = operation({
  id: 'blockSubject',
  method: 'PUT',
  path: '/api/admin/blocks/:kind/:id',
  summary: 'Refuse new holds to a user, a workspace or an API key, and stop running answers at their next renewal',
  permission: 'blocks:write',
  params,
  body: z.strictObject({ reason: line(200) }),
  result: Block,
  errors: ['OWN_ACCOUNT'],
});

export const unblockSubject = operation({
  id: 'unblockSubject',
  method: 'DELETE',
  path: '/api/admin/blocks/:kind/:id',
  summary: 'Lift a block',
  permission: 'blocks:write',
  params,
  result: Block,
  errors: ['NOT_FOUND'],
});

export const listBlocks = operation({
  id: 'listBlocks',
  method: 'GET',
  path: '/api/admin/blocks',
  summary: 'Who is blocked, newest first',
  permission: 'blocks:write',
  query: PageQuery,
  result: z.object({ blocks: z.array(Block), nextCursor: z.string().nullable() }),
});
