import { z } from 'zod';
import { RoleName, UserId } from '../ids.ts';
import { operation } from '../operation.ts';

/** Fields that older clients send along are dropped. */
const Login = z.object({ username: z.string().trim().min(1).max(254), password: z.string().min(1).max(256) });

const ChatUser = z.object({
  id: UserId,
  username: z.string(),
  email: z.string(),
  isVerified: z.boolean(),
  role: RoleName,
});

/** Clients rely on the order of the keys: the older names first, then the aliases. */
export const authenticate = operation({
  id: 'authenticate',
  method: 'POST',
  path: '/api/v1/chat/authenticate',
  summary: 'Log in at the auth service; an account with a second factor must log in there itself',
  permission: 'public',
  body: Login,
  result: z.object({
    access_token: z.string(),
    refresh_token: z.string(),
    token_type: z.literal('bearer'),
    user: ChatUser,
    message: z.string(),
    accessToken: z.string(),
    refreshToken: z.string(),
  }),
  errors: [
    'INVALID_CREDENTIALS',
    'EMAIL_NOT_VERIFIED',
    'MFA_REQUIRED',
    'MFA_ENROLMENT_REQUIRED',
    'PASSWORD_EXPIRED',
    'RATE_LIMITED',
    'DEPENDENCY_UNAVAILABLE',
  ],
});

export const refresh = operation({
  id: 'refresh',
  method: 'POST',
  path: '/api/v1/chat/refresh',
  summary: 'Exchange a refresh token for new tokens',
  permission: 'public',
  body: z.strictObject({ refresh_token: z.string().min(1).max(4096) }),
  result: z.object({ access_token: z.string(), refresh_token: z.string(), token_type: z.literal('bearer') }),
  errors: ['INVALID_REFRESH_TOKEN', 'RATE_LIMITED', 'DEPENDENCY_UNAVAILABLE'],
});

export const revoke = operation({
  id: 'revoke',
  method: 'POST',
  path: '/api/v1/chat/revoke',
  summary: 'End every session of the caller at the auth service',
  permission: 'profile:own',
  body: z.strictObject({ token_id: z.string().max(128).nullish(), all_tokens: z.boolean().nullish() }).prefault({}),
  result: z.object({ message: z.string(), revoked_tokens: z.int().min(0) }),
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
});

export const readCurrentUser = operation({
  id: 'readCurrentUser',
  method: 'GET',
  path: '/api/v1/chat/get_current_user',
  summary: 'The own account, as the auth service has it',
  permission: 'profile:read',
  result: ChatUser,
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
});
