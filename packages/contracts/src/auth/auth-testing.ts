import { z } from 'zod';
import { INVALID_USER_ID, userParams } from './auth-fields.ts';
import { Timestamp, UserId } from '../ids.ts';
import { operation } from '../operation.ts';

/*
 * For automated tests of clients. Mounted only with ENABLE_TESTING_ROUTES=true, and a service that runs in production
 * refuses to start with that flag.
 */

const MailedSecret = z.object({ token: z.string(), expires: Timestamp, type: z.enum(['email', 'password-reset']) });

export const readVerificationCode = operation({
  id: 'readVerificationCode',
  method: 'GET',
  path: '/api/testing/verification-token/:userId',
  summary: 'Testing only: a verification code of an unverified account',
  permission: 'public',
  params: userParams,
  result: MailedSecret,
  errors: ['NOT_FOUND'],
  invalidDetail: INVALID_USER_ID,
});

export const readMailedSecret = operation({
  id: 'readMailedSecret',
  method: 'GET',
  path: '/api/testing/verification-token/:userId/:type',
  summary: 'Testing only: a verification code, or a reset token of an account that has asked for one',
  permission: 'public',
  params: userParams.extend({ type: z.enum(['email', 'password-reset']) }),
  result: MailedSecret,
  errors: ['NOT_FOUND'],
  invalidDetail: INVALID_USER_ID,
});

export const verifyUserDirectly = operation({
  id: 'verifyUserDirectly',
  method: 'POST',
  path: '/api/testing/verify-user/:userId',
  summary: 'Testing only: mark an account as verified',
  permission: 'public',
  params: userParams,
  result: z.object({
    message: z.string(),
    user: z.object({ id: UserId, username: z.string(), email: z.string(), isEmailVerified: z.boolean() }),
  }),
  errors: ['NOT_FOUND'],
  invalidDetail: INVALID_USER_ID,
});
