import { z } from 'zod';
import { Email, RoleName, UserId } from './ids.ts';
import { operation } from './operation.ts';

const Identifier = z.string().trim().min(1).max(254);
/** Only bounded here: what a new password must satisfy is decided by the password rules. */
export const Password = z.string().min(1).max(128);

export const PublicUser = z.object({
  id: UserId,
  username: z.string(),
  email: z.string(),
  isVerified: z.boolean(),
  role: RoleName,
});
export type PublicUser = z.infer<typeof PublicUser>;

export const logIn = operation({
  id: 'logIn',
  method: 'POST',
  path: '/api/auth/login',
  summary: 'Log in with user name or e-mail address',
  permission: 'public',
  body: z.object({ username: Identifier, password: Password }),
  result: z.object({ message: z.string(), accessToken: z.string(), refreshToken: z.string(), user: PublicUser }),
  errors: ['INVALID_CREDENTIALS', 'EMAIL_NOT_VERIFIED', 'RATE_LIMITED'],
  invalidDetail: 'Missing required fields',
});

export const refreshSession = operation({
  id: 'refreshSession',
  method: 'POST',
  path: '/api/auth/refresh',
  summary: 'Exchange a refresh token (cookie or body) for new tokens; every refresh token works once',
  permission: 'public',
  body: z.strictObject({ refreshToken: z.string().min(1).max(4096).optional() }).default({}),
  result: z.object({ message: z.string(), accessToken: z.string(), refreshToken: z.string() }),
  errors: ['REFRESH_TOKEN_REQUIRED', 'INVALID_REFRESH_TOKEN'],
});

export const logOutAll = operation({
  id: 'logOutAll',
  method: 'POST',
  path: '/api/auth/logout-all',
  summary: 'End every session of the caller',
  permission: 'profile:own',
  result: z.object({ message: z.string() }),
});

export const readUserByEmail = operation({
  id: 'readUserByEmail',
  method: 'GET',
  path: '/api/admin/users/by-email/:email',
  summary: 'Find a user by e-mail address',
  permission: 'users:read',
  params: z.strictObject({ email: Email }),
  result: z.object({
    user: z.object({
      _id: UserId,
      username: z.string(),
      email: z.string(),
      isVerified: z.boolean(),
      role: RoleName,
      createdAt: z.string(),
      updatedAt: z.string(),
    }),
  }),
  errors: ['NOT_FOUND'],
});
