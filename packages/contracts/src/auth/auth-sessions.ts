import { z } from 'zod';
import { Identifier, Ignored, Message, Password } from './auth-fields.ts';
import { RoleName, UserId } from '../ids.ts';
import { operation } from '../operation.ts';

export { NewUsername, Password } from './auth-fields.ts';

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
  body: z.strictObject({ username: Identifier, password: Password, email: Ignored, role: Ignored }),
  result: z.object({ message: z.string(), accessToken: z.string(), refreshToken: z.string(), user: PublicUser }),
  errors: ['INVALID_CREDENTIALS', 'EMAIL_NOT_VERIFIED', 'RATE_LIMITED'],
  invalidDetail: 'Missing required fields',
});

const RefreshToken = z.string().min(1).max(4096);

export const refreshSession = operation({
  id: 'refreshSession',
  method: 'POST',
  path: '/api/auth/refresh',
  summary: 'Exchange a refresh token (cookie or body) for new tokens; every refresh token works once',
  permission: 'public',
  body: z.strictObject({ refreshToken: RefreshToken.optional() }).default({}),
  result: z.object({ message: z.string(), accessToken: z.string(), refreshToken: z.string() }),
  errors: ['REFRESH_TOKEN_REQUIRED', 'INVALID_REFRESH_TOKEN', 'CSRF_REJECTED', 'RATE_LIMITED'],
});

export const logOut = operation({
  id: 'logOut',
  method: 'POST',
  path: '/api/auth/logout',
  summary: 'End the session of a refresh token or of the access token sent along; succeeds also when it had ended',
  permission: 'public',
  body: z.strictObject({ refreshToken: z.string().max(4096).optional() }).default({}),
  result: Message,
});

export const logOutAll = operation({
  id: 'logOutAll',
  method: 'POST',
  path: '/api/auth/logout-all',
  summary: 'End every session of the caller',
  permission: 'profile:own',
  result: Message,
});
