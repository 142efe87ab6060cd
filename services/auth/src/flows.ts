import type { Config } from './config.ts';
import type { PasswordRules } from './domain/password-rules.ts';
import { createChangePassword } from './flows/accounts/change-password.ts';
import { createChangeRole } from './flows/administer/change-role.ts';
import { createCreateUser, createCreateUsers, createInviteUser } from './flows/administer/create-users.ts';
import { createDeleteAllUsers, createDeleteUser } from './flows/administer/delete-users.ts';
import { createEnsureUser } from './flows/accounts/ensure-user.ts';
import { createContinueLogIn } from './flows/sessions/continue-log-in.ts';
import { createLogIn } from './flows/sessions/log-in.ts';
import { createLogOut, createLogOutAll } from './flows/sessions/log-out.ts';
import { createListUsers, createLookUpUser, createReadUserByEmail } from './flows/administer/read-users.ts';
import { createRefreshSession } from './flows/sessions/refresh-session.ts';
import { createRequestMail } from './flows/accounts/request-mail.ts';
import { createRequireLiveSession } from './flows/sessions/require-live-session.ts';
import { createResetPassword } from './flows/accounts/reset-password.ts';
import { createResetUserPassword } from './flows/administer/reset-user-password.ts';
import { createSignUp } from './flows/accounts/sign-up.ts';
import { createReadMailedSecret, createVerifyDirectly } from './flows/accounts/test-accounts.ts';
import {
  createDisableTotp,
  createReadSecondFactor,
  createReplaceBackupCodes,
  createResetSecondFactor,
} from './flows/mfa/manage-second-factor.ts';
import { createConfirmTotp, createEnrolTotp } from './flows/mfa/enrol-totp.ts';
import { createSecondFactorDue } from './flows/mfa/second-factor-due.ts';
import { createRequireStepUp, createStepUp } from './flows/mfa/step-up.ts';
import { createEnrolAtLogIn, createVerifySecondFactor } from './flows/mfa/verify-second-factor.ts';
import { createTrustDevice } from './flows/sessions/trust-device.ts';
import { createReadProfile, createUpdateProfile } from './flows/accounts/update-profile.ts';
import { createVerifyEmail } from './flows/accounts/verify-email.ts';
import type { Ports } from './ports.ts';

export type Flows = ReturnType<typeof createFlows>;

/** Everything this service does. */
export function createFlows(config: Config, ports: Ports, rules: PasswordRules) {
  const { abandonMs, codeLives, mfaPolicy, sessions: lives } = config;
  const given = { ...ports, rules, abandonMs, codeLives, lives, mfaPolicy };
  const continueLogIn = createContinueLogIn({ ...given, secondFactorDue: createSecondFactorDue(given) });
  const requireStepUp = createRequireStepUp(given);
  const deps = { ...given, continueLogIn, requireStepUp };
  return {
    signUp: createSignUp(deps),
    verifyEmail: createVerifyEmail(deps),
    requestMail: createRequestMail(deps),
    resetPassword: createResetPassword(deps),
    logIn: createLogIn(deps),
    trustDevice: createTrustDevice(deps),
    verifySecondFactor: createVerifySecondFactor(deps),
    enrolAtLogIn: createEnrolAtLogIn(deps),
    stepUp: createStepUp(deps),
    readSecondFactor: createReadSecondFactor(deps),
    enrolTotp: createEnrolTotp(deps),
    confirmTotp: createConfirmTotp(deps),
    disableTotp: createDisableTotp(deps),
    replaceBackupCodes: createReplaceBackupCodes(deps),
    resetSecondFactor: createResetSecondFactor(deps),
    refreshSession: createRefreshSession(deps),
    logOut: createLogOut(deps),
    logOutAll: createLogOutAll(deps),
    requireLiveSession: createRequireLiveSession(deps),
    readProfile: createReadProfile(deps),
    updateProfile: createUpdateProfile(deps),
    changePassword: createChangePassword(deps),
    lookUpUser: createLookUpUser(deps),
    readUserByEmail: createReadUserByEmail(deps),
    listUsers: createListUsers(deps),
    createUser: createCreateUser(deps),
    createUsers: createCreateUsers({ inviteUser: createInviteUser(deps) }),
    changeRole: createChangeRole(deps),
    deleteUser: createDeleteUser(deps),
    deleteAllUsers: createDeleteAllUsers(deps),
    resetUserPassword: createResetUserPassword(deps),
    ensureUser: createEnsureUser(deps),
    readMailedSecret: createReadMailedSecret(deps),
    verifyDirectly: createVerifyDirectly(deps),
  };
}
