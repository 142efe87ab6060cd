import { z } from 'zod';
import { AccountView, INVALID_USER_ID, Ignored, Message, NewUsername, Password, userParams } from './auth-fields.ts';
import { Email, RoleName, UserId, WorkspaceId } from '../ids.ts';
import { operation } from '../operation.ts';

export { AccountView } from './auth-fields.ts';

export const signUp = operation({
  id: 'signUp',
  method: 'POST',
  path: '/api/auth/signup',
  summary: 'Open an account; the answer is the same when the e-mail address is known already',
  permission: 'public',
  status: 201,
  body: z.strictObject({ username: NewUsername, email: Email, password: Password, role: Ignored }),
  result: z.object({ message: z.string(), userId: UserId }),
  errors: ['DUPLICATE_USERNAME', 'WEAK_PASSWORD', 'RATE_LIMITED'],
  invalidDetail: 'Missing required fields',
});

/** The 6 digits of a new account's mail, or the 64 of a changed address. */
const MailedToken = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^(?:[0-9a-f]{6}|[0-9a-f]{64})$/, 'must be the code out of the mail');

export const verifyEmail = operation({
  id: 'verifyEmail',
  method: 'POST',
  path: '/api/auth/verify-email',
  summary: 'Prove an e-mail address with the code that was mailed to it',
  permission: 'public',
  body: z.strictObject({
    token: MailedToken,
    /** Narrows the search to one account, whose own limit of attempts then counts. */
    email: Email.optional(),
  }),
  result: Message,
  errors: ['INVALID_CODE', 'RATE_LIMITED'],
  invalidDetail: 'Token is required',
});

export const resendVerification = operation({
  id: 'resendVerification',
  method: 'POST',
  path: '/api/auth/resend-verification',
  summary: 'Mail another verification code; the answer never tells whether the account exists',
  permission: 'public',
  body: z.strictObject({ email: Email }),
  result: Message,
  errors: ['RATE_LIMITED'],
  invalidDetail: 'Email is required',
});

export const requestPasswordReset = operation({
  id: 'requestPasswordReset',
  method: 'POST',
  path: '/api/auth/forgot-password',
  summary: 'Mail a link for a new password; the answer never tells whether the account exists',
  permission: 'public',
  body: z.strictObject({ email: Email }),
  result: Message,
  errors: ['RATE_LIMITED'],
  invalidDetail: 'Email is required',
});

export const resetPassword = operation({
  id: 'resetPassword',
  method: 'POST',
  path: '/api/auth/reset-password',
  summary: 'Set a new password with a mailed token; ends every session',
  permission: 'public',
  body: z.strictObject({
    /** Whatever is no token of ours, of whatever type, is answered like a wrong one: the answer teaches nothing. */
    token: z.string().trim().max(200).catch(''),
    newPassword: Password,
  }),
  result: Message,
  errors: ['INVALID_CODE', 'WEAK_PASSWORD', 'RATE_LIMITED'],
  invalidDetail: 'Token and new password are required',
});

export const readUser = operation({
  id: 'readUser',
  method: 'GET',
  path: '/api/auth/users/:userId',
  summary: 'Whether a user exists; administrators see more',
  permission: 'users:look-up',
  params: userParams,
  result: z.object({
    _id: UserId,
    username: z.string(),
    active: z.boolean(),
    deleted: z.literal(false),
    email: z.string().optional(),
    role: RoleName.optional(),
    isVerified: z.boolean().optional(),
    createdAt: z.string().optional(),
    updatedAt: z.string().optional(),
  }),
  errors: ['NOT_FOUND'],
  invalidDetail: INVALID_USER_ID,
});

const Profile = z.object({
  user: AccountView.extend({
    /** The new address that waits for its confirmation. */
    pendingEmail: z.string().optional(),
    /** Where a login that names no workspace begins. */
    defaultWorkspaceId: WorkspaceId.optional(),
    __v: z.int().min(0),
  }),
});

export const readProfile = operation({
  id: 'readProfile',
  method: 'GET',
  path: '/api/profile',
  summary: 'The own account',
  permission: 'profile:read',
  result: Profile,
  errors: ['NOT_FOUND'],
});

export const updateProfile = operation({
  id: 'updateProfile',
  method: 'PUT',
  path: '/api/profile',
  summary:
    'Change the own user name and default workspace at once, the own e-mail address after it was confirmed by mail',
  permission: 'profile:own',
  body: z.strictObject({
    username: NewUsername.optional(),
    email: Email.optional(),
    /** Needed for a new e-mail address. */
    currentPassword: Password.optional(),
    /** Where a login that names no workspace begins; null: asked each time. */
    defaultWorkspaceId: WorkspaceId.nullable().optional(),
  }),
  result: Profile,
  errors: ['DUPLICATE_USERNAME', 'WRONG_PASSWORD', 'STEP_UP_REQUIRED', 'RATE_LIMITED', 'NOT_FOUND'],
});

export const changePassword = operation({
  id: 'changePassword',
  method: 'POST',
  path: '/api/change-password',
  summary: 'Change the own password; ends every other session',
  permission: 'profile:own',
  body: z.strictObject({ currentPassword: Password, newPassword: Password }),
  result: Message,
  errors: ['WRONG_PASSWORD', 'WEAK_PASSWORD', 'RATE_LIMITED'],
  invalidDetail: 'Current password and new password are required',
});

export const readDashboard = operation({
  id: 'readDashboard',
  method: 'GET',
  path: '/api/dashboard',
  summary: 'Proof of being logged in',
  permission: 'dashboard:read',
  result: z.object({
    message: z.string(),
    user: z.object({ userId: UserId, username: z.string(), role: RoleName }),
  }),
});
