import { z } from 'zod';
import { Email, RoleInput, RoleName, Timestamp } from '../ids.ts';
import { line } from './accounting-text.ts';
import { operation } from '../operation.ts';

export const createAccount = operation({
  id: 'createAccount',
  method: 'POST',
  path: '/api/admin/users',
  summary: 'Open the account of a user before the first call of that user',
  permission: 'accounts:write',
  status: 201,
  body: z.strictObject({
    sub: z.string().regex(/^[0-9a-f]{24,32}$/, 'must be 24 to 32 hex digits'),
    email: Email,
    role: RoleInput.default('enduser'),
    /** Neither with `@` nor like an id, so that it is never taken for an e-mail address or for somebody else. */
    username: line(64)
      .regex(/^[^@]*$/, 'must not hold an @')
      .regex(/^(?![0-9a-f]{24,32}$)/, 'must not look like an id')
      .optional(),
  }),
  result: z.object({
    userId: z.string(),
    sub: z.string(),
    email: z.string(),
    username: z.string(),
    role: RoleName,
    createdAt: Timestamp,
    updatedAt: Timestamp,
  }),
  errors: ['DUPLICATE_ACCOUNT'],
});
