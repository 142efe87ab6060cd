import { z } from 'zod';
import { AccountView, INVALID_USER_ID, Message, NewUsername, Password, userParams } from './auth-fields.ts';
import { Email, RoleInput, RoleName, UserId } from '../ids.ts';
import { operation, PageQuery } from '../operation.ts';

export const listUsers = operation({
  id: 'listUsers',
  method: 'GET',
  path: '/api/admin/users',
  summary: 'Accounts, oldest first, page by page; `q` is the beginning of a user name or e-mail address',
  permission: 'users:read',
  query: PageQuery.extend({
    limit: PageQuery.shape.limit.unwrap().default(100),
    q: z.string().trim().min(1).max(254).optional(),
    role: RoleInput.optional(),
    /** Deleted ones are listed only when they are asked for. */
    status: z.enum(['active', 'locked', 'disabled', 'deleted']).optional(),
  }),
  result: z.object({ users: z.array(AccountView), nextCursor: z.string().nullable() }),
});

export const readUserByEmail = operation({
  id: 'readUserByEmail',
  method: 'GET',
  path: '/api/admin/users/by-email/:email',
  summary: 'Find a user by e-mail address',
  permission: 'users:read',
  params: z.strictObject({ email: Email }),
  result: z.object({ user: AccountView }),
  errors: ['NOT_FOUND'],
});

export const readUserAsAdmin = operation({
  id: 'readUserAsAdmin',
  method: 'GET',
  path: '/api/admin/users/:userId',
  summary: 'One account',
  permission: 'users:read',
  params: userParams,
  result: z.object({
    user: z.object({
      user_id: UserId,
      username: z.string(),
      email: z.string(),
      role: RoleName,
      is_verified: z.boolean(),
      created_at: z.string(),
      updated_at: z.string(),
    }),
  }),
  errors: ['NOT_FOUND'],
  invalidDetail: INVALID_USER_ID,
});

export const createUser = operation({
  id: 'createUser',
  method: 'POST',
  path: '/api/admin/users',
  summary: 'Open an account for somebody else',
  permission: 'users:write',
  status: 201,
  body: z.strictObject({
    username: NewUsername,
    email: Email,
    password: Password,
    role: RoleInput.default('enduser'),
    skipVerification: z.boolean().default(false),
  }),
  result: z.object({ message: z.string(), userId: UserId }),
  errors: ['DUPLICATE_USERNAME', 'DUPLICATE_EMAIL', 'WEAK_PASSWORD', 'FORBIDDEN'],
  invalidDetail: 'Missing required fields',
});

const MOST_NEW_USERS = 500;
/** Bytes: so many of the longest entries, written as JSON. */
const MOST_BYTES = 524_288;

/** Each entry is judged on its own, so that one bad line of a list does not refuse the others. */
const NewUserLine = z.strictObject({
  username: z.string().max(254),
  email: z.string().max(254),
  role: z.string().max(32).optional(),
});
export const NewUserRow = z.strictObject({
  username: NewUsername,
  email: Email,
  role: RoleInput.default('enduser'),
});

export const createUsers = operation({
  id: 'createUsers',
  method: 'POST',
  path: '/api/admin/users/batch',
  summary: 'Open up to 500 accounts; each person is mailed a link to choose a password',
  permission: 'users:write',
  status: 201,
  body: z.strictObject({
    users: z.array(NewUserLine).min(1).max(MOST_NEW_USERS),
    skipVerification: z.boolean().default(true),
  }),
  result: z.object({
    message: z.string(),
    results: z.array(
      z.object({
        username: z.string(),
        email: z.string(),
        success: z.boolean(),
        message: z.string(),
        userId: UserId.optional(),
      }),
    ),
    summary: z.object({ total: z.int(), successful: z.int(), failed: z.int() }),
  }),
  bodyLimit: MOST_BYTES,
  invalidDetail: 'A non-empty array of users is required',
});

export const changeRole = operation({
  id: 'changeRole',
  method: 'PUT',
  path: '/api/admin/users/:userId/role',
  summary: 'Give another user a role; ends that user’s sessions',
  permission: 'users:write',
  params: userParams,
  body: z.strictObject({ role: RoleInput }),
  result: z.object({ message: z.string(), user: AccountView }),
  errors: ['NOT_FOUND', 'OWN_ACCOUNT', 'LAST_ADMIN'],
});

/** One operation of these shapes for each thing that is done to the status of an account. */
const statusChange = <const Id extends string, const Path extends string>(id: Id, path: Path, summary: string) =>
  ({
    id,
    method: 'POST',
    path,
    summary,
    permission: 'users:write',
    params: userParams,
    result: z.object({ message: z.string(), user: AccountView }),
    errors: ['NOT_FOUND', 'OWN_ACCOUNT', 'LAST_ADMIN', 'CONFLICT'],
    invalidDetail: INVALID_USER_ID,
  }) as const;

export const lockUser = operation(
  statusChange(
    'lockUser',
    '/api/admin/users/:userId/lock',
    'Lock another user out, for a time; ends that user’s sessions',
  ),
);

export const unlockUser = operation(
  statusChange('unlockUser', '/api/admin/users/:userId/unlock', 'Let a locked user in again'),
);

export const setUserStatus = operation({
  ...statusChange(
    'setUserStatus',
    '/api/admin/users/:userId/status',
    'Disable another user, locked or not, or enable a disabled one; disabling ends that user’s sessions',
  ),
  method: 'PUT',
  body: z.strictObject({ status: z.enum(['active', 'disabled']) }),
});

export const signOutUser = operation({
  id: 'signOutUser',
  method: 'POST',
  path: '/api/admin/users/:userId/sign-out',
  summary: 'End every session of a user',
  permission: 'users:write',
  params: userParams,
  result: Message,
  errors: ['NOT_FOUND'],
  invalidDetail: INVALID_USER_ID,
});

export const deleteUser = operation({
  id: 'deleteUser',
  method: 'DELETE',
  path: '/api/admin/users/:userId',
  summary: 'Delete an account that is neither the own one nor an administrator’s',
  permission: 'users:write',
  params: userParams,
  result: z.object({
    message: z.string(),
    user: z.object({ username: z.string(), email: z.string(), role: RoleName }),
  }),
  errors: ['NOT_FOUND', 'OWN_ACCOUNT', 'FORBIDDEN'],
  invalidDetail: INVALID_USER_ID,
});

export const DELETE_ALL_USERS = 'DELETE_ALL_USERS';

export const deleteUsers = operation({
  id: 'deleteUsers',
  method: 'DELETE',
  path: '/api/admin/users',
  summary: 'Delete every account but the own one and, unless told otherwise, the administrators',
  permission: 'users:write',
  body: z
    .strictObject({ confirmDelete: z.string().max(64).optional(), preserveAdmins: z.boolean().default(true) })
    .prefault({}),
  result: z.object({ message: z.string(), preservedAdmins: z.boolean() }),
  errors: ['CONFIRMATION_REQUIRED'],
});

export const resetUserPassword = operation({
  id: 'resetUserPassword',
  method: 'POST',
  path: '/api/admin/users/:userId/reset-password',
  summary: 'Mail another user a link, generate a password that is shown once, or set one; ends that user’s sessions',
  permission: 'users:write',
  params: userParams,
  body: z
    .strictObject({
      newPassword: Password.optional(),
      generateRandom: z.boolean().default(false),
      /** The old password is worth nothing from then on. */
      sendLink: z.boolean().default(false),
    })
    .refine(
      ({ newPassword, generateRandom, sendLink }) =>
        [newPassword !== undefined, generateRandom, sendLink].filter(Boolean).length === 1,
      { error: 'one of newPassword, generateRandom and sendLink is required' },
    ),
  result: z.object({
    message: z.string(),
    user: z.object({ username: z.string(), email: z.string() }),
    generatedPassword: z.string().optional(),
  }),
  errors: ['NOT_FOUND', 'WEAK_PASSWORD', 'OWN_ACCOUNT', 'FORBIDDEN'],
});

const Access = Message.extend({ role: RoleName });

export const readReports = operation({
  id: 'readReports',
  method: 'GET',
  path: '/api/admin/reports',
  summary: 'Proof of being allowed to see reports',
  permission: 'reports:read',
  result: Access,
});

export const readUserDashboard = operation({
  id: 'readUserDashboard',
  method: 'GET',
  path: '/api/admin/dashboard',
  summary: 'Proof of being logged in, with the role',
  permission: 'dashboard:read',
  result: Access,
});
