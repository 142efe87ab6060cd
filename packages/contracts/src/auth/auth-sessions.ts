import { z } from 'zod';
import { Identifier, Ignored, Message, Password } from './auth-fields.ts';
import { WorkspaceChoice } from './auth-workspaces.ts';
import { RoleName, Timestamp, UserId, Uuid, WorkspaceId } from '../ids.ts';
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

const LoggedIn = z.object({
  message: z.string(),
  accessToken: z.string(),
  refreshToken: z.string(),
  user: PublicUser,
  /** Shown once, with the first code of a second factor that the login asked for. */
  backupCodes: z.array(z.string()).optional(),
});

const SelectionToken = z.string().min(1).max(200);
const WorkspaceSelection = z.object({
  message: z.string(),
  workspaces: z.array(WorkspaceChoice),
  /** Good for one selection, for ten minutes, and for nothing else. */
  selectionToken: z.string(),
  /** As above. */
  backupCodes: z.array(z.string()).optional(),
});

/** An opaque secret that stands for a login that stopped half-way; it opens nothing but its next step. */
export const ChallengeSecret = z.string().min(1).max(200);

/** The password was right, and a code of the second factor is asked for: there are no tokens yet. */
const SecondFactorDue = z.object({ message: z.string(), mfaRequired: z.literal(true), challenge: ChallengeSecret });

/** What a login, or the next step of one, leads to. */
export const LogInAnswer = z.union([LoggedIn, SecondFactorDue, WorkspaceSelection]);

export const logIn = operation({
  id: 'logIn',
  method: 'POST',
  path: '/api/auth/login',
  summary: 'Log in with user name or e-mail address',
  permission: 'public',
  body: z.strictObject({
    username: Identifier,
    password: Password,
    /** Where to begin, for users of several workspaces. */
    workspaceId: WorkspaceId.optional(),
    email: Ignored,
    role: Ignored,
  }),
  /** 300: there are several workspaces, and neither the request nor the account names one. */
  alsoStatus: [300],
  result: LogInAnswer,
  errors: [
    'INVALID_CREDENTIALS',
    'EMAIL_NOT_VERIFIED',
    'ACCOUNT_LOCKED',
    'ACCOUNT_DISABLED',
    'PASSWORD_EXPIRED',
    /** With a `challenge` in the problem document, for `POST /api/auth/mfa/enrol`. */
    'MFA_ENROLMENT_REQUIRED',
    'RATE_LIMITED',
    'NOT_FOUND',
  ],
  invalidDetail: 'Missing required fields',
});

export const selectWorkspace = operation({
  id: 'selectWorkspace',
  method: 'POST',
  path: '/api/auth/select-workspace',
  summary: 'Finish a login that asked for a workspace',
  permission: 'public',
  body: z.strictObject({ selectionToken: SelectionToken, workspaceId: WorkspaceId }),
  result: LoggedIn,
  errors: ['INVALID_CHALLENGE', 'NOT_FOUND', 'RATE_LIMITED'],
});

export const switchWorkspace = operation({
  id: 'switchWorkspace',
  method: 'POST',
  path: '/api/auth/switch-workspace',
  summary: 'Go on in another workspace of the caller with new tokens; the ones before are over',
  permission: 'profile:own',
  body: z.strictObject({ workspaceId: WorkspaceId }),
  result: LoggedIn,
  errors: ['NOT_FOUND', 'RATE_LIMITED'],
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

const MOST_SESSIONS = 100;

export const listOwnSessions = operation({
  id: 'listOwnSessions',
  method: 'GET',
  path: '/api/sessions',
  summary: 'The living sessions of the caller, the one used last first',
  permission: 'profile:own',
  result: z.object({
    sessions: z
      .array(
        z.object({
          id: Uuid,
          /** A guess at what it is used from, out of what the client said of itself. */
          device: z.string(),
          ipAddress: z.string(),
          createdAt: Timestamp,
          lastUsedAt: Timestamp,
          expiresAt: Timestamp,
          /** Whether it is the one this call was made with. */
          current: z.boolean(),
        }),
      )
      .max(MOST_SESSIONS),
  }),
});

export const endOwnSession = operation({
  id: 'endOwnSession',
  method: 'DELETE',
  path: '/api/sessions/:id',
  summary: 'End one session of the caller',
  permission: 'profile:own',
  params: z.strictObject({ id: Uuid }),
  result: Message,
  errors: ['NOT_FOUND'],
});
