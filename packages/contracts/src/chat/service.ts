import { z } from 'zod';
import { operation } from '../operation.ts';

export const readService = operation({
  id: 'readService',
  method: 'GET',
  path: '/',
  summary: 'That the service runs',
  permission: 'public',
  result: z.object({ message: z.string(), version: z.string(), status: z.literal('running') }),
});
