import { z } from 'zod';
import { INVALID_USER_ID, Message, Password, userParams } from './auth-fields.ts';
import { ChallengeSecret, LogInAnswer } from './auth-sessions.ts';
import { Timestamp } from '../ids.ts';
import { operation } from '../operation.ts';

/** The 6 digits of an app or the 12 characters of a backup code, with the spaces and dashes people copy along. */
const Code = z
  .string()
  .trim()
  .regex(/^[0-9A-Za-z -]{6,20}$/, 'must be the code of an authenticator app or a backup code');

/** Shown once. */
const BackupCodes = z.array(z.string());

const Enrolment = z.object({
  /** For typing into the app: base 32. */
  secret: z.string(),
  /** The same as an `otpauth:` address. */
  otpauthUri: z.string(),
  /** The address as an image, a `data:` URL. */
  qrCode: z.string(),
});

export const verifySecondFactor = operation({
  id: 'verifySecondFactor',
  method: 'POST',
  path: '/api/auth/mfa/verify',
  summary: 'Finish a login with a code of the second factor, or with the first code of a new one',
  permission: 'public',
  body: z.strictObject({ challenge: ChallengeSecret, code: Code }),
  /** 300 as at the login. */
  alsoStatus: [300],
  result: LogInAnswer,
  errors: ['INVALID_CHALLENGE', 'INVALID_SECOND_FACTOR', 'RATE_LIMITED'],
});

export const enrolAtLogIn = operation({
  id: 'enrolAtLogIn',
  method: 'POST',
  path: '/api/auth/mfa/enrol',
  summary: 'Set up the second factor that an account must have before its first session',
  permission: 'public',
  body: z.strictObject({ challenge: ChallengeSecret }),
  result: Enrolment,
  errors: ['INVALID_CHALLENGE', 'RATE_LIMITED'],
});

export const stepUp = operation({
  id: 'stepUp',
  method: 'POST',
  path: '/api/auth/step-up',
  summary: 'Prove again who you are: for five minutes this session may make sensitive changes',
  permission: 'mfa:own',
  body: z.strictObject({
    password: Password,
    /** Needed when a second factor is set up. */
    code: Code.optional(),
  }),
  result: Message.extend({ until: Timestamp }),
  errors: ['WRONG_PASSWORD', 'INVALID_SECOND_FACTOR', 'STEP_UP_REQUIRED', 'RATE_LIMITED'],
});

export const readSecondFactor = operation({
  id: 'readSecondFactor',
  method: 'GET',
  path: '/api/mfa',
  summary: 'Whether the own account has a second factor',
  permission: 'mfa:own',
  result: z.object({
    enabled: z.boolean(),
    enabledAt: Timestamp.optional(),
    backupCodesLeft: z.int().min(0),
    /** Whether the installation wants this account to have one. */
    required: z.boolean(),
  }),
});

export const enrolTotp = operation({
  id: 'enrolTotp',
  method: 'POST',
  path: '/api/mfa/totp/enrol',
  summary: 'Begin to set up an authenticator app, or another one in its place; needs a step-up',
  permission: 'mfa:own',
  result: Enrolment,
  errors: ['STEP_UP_REQUIRED', 'NOT_FOUND'],
});

export const confirmTotp = operation({
  id: 'confirmTotp',
  method: 'POST',
  path: '/api/mfa/totp/confirm',
  summary: 'Put the app in force with its first code; answers the backup codes; needs a step-up',
  permission: 'mfa:own',
  body: z.strictObject({ code: Code }),
  result: Message.extend({ backupCodes: BackupCodes }),
  errors: ['INVALID_SECOND_FACTOR', 'STEP_UP_REQUIRED', 'RATE_LIMITED'],
});

export const disableTotp = operation({
  id: 'disableTotp',
  method: 'POST',
  path: '/api/mfa/totp/disable',
  summary: 'Give the second factor up; needs a step-up; refused to accounts that must have one',
  permission: 'mfa:own',
  result: Message,
  errors: ['STEP_UP_REQUIRED', 'FORBIDDEN', 'NOT_FOUND'],
});

export const replaceBackupCodes = operation({
  id: 'replaceBackupCodes',
  method: 'POST',
  path: '/api/mfa/backup-codes',
  summary: 'New backup codes, shown once; voids the old ones; needs a step-up',
  permission: 'mfa:own',
  result: Message.extend({ backupCodes: BackupCodes }),
  errors: ['STEP_UP_REQUIRED', 'NOT_FOUND'],
});

export const resetSecondFactor = operation({
  id: 'resetSecondFactor',
  method: 'DELETE',
  path: '/api/admin/users/:userId/mfa',
  summary: 'Remove the second factor of a user who has lost it; needs a step-up',
  permission: 'mfa:reset',
  params: userParams,
  result: Message,
  errors: ['STEP_UP_REQUIRED', 'NOT_FOUND', 'OWN_ACCOUNT'],
  invalidDetail: INVALID_USER_ID,
});
