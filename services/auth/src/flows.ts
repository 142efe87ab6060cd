import type { Config } from './config.ts';
import type { ChallengeKind } from './domain/challenge.ts';
import type { PasswordRules } from './domain/password-rules.ts';
import { createChangeApiKey } from './flows/api-keys/change-api-key.ts';
import { createCreateApiKey } from './flows/api-keys/create-api-key.ts';
import { createDeleteApiKey, createDisableApiKeyOfUser } from './flows/api-keys/end-api-key.ts';
import { createListApiKeys } from './flows/api-keys/read-api-keys.ts';
import { createRotateApiKey } from './flows/api-keys/rotate-api-key.ts';
import { createVerifyApiKey } from './flows/api-keys/verify-api-key.ts';
import { createChangePassword } from './flows/accounts/change-password.ts';
import { createChangeRole } from './flows/administer/change-role.ts';
import { createChangeStatus } from './flows/administer/change-status.ts';
import { createCreateUser, createCreateUsers } from './flows/administer/create-users.ts';
import { createDeleteAllUsers, createDeleteUser } from './flows/administer/delete-users.ts';
import { createEnsureUser } from './flows/accounts/ensure-user.ts';
import { createRaiseAlerts } from './flows/audit/raise-alerts.ts';
import { createSearchAudit } from './flows/audit/search-audit.ts';
import { createTakeAnchor } from './flows/audit/take-anchor.ts';
import { createTakeReports } from './flows/audit/take-reports.ts';
import { createVerifyAudit } from './flows/audit/verify-audit.ts';
import { createContinueLogIn, type Proven } from './flows/sessions/continue-log-in.ts';
import { issueChallenge } from './flows/sessions/issue-challenge.ts';
import { createLogIn } from './flows/sessions/log-in.ts';
import { createLogOut, createLogOutAll } from './flows/sessions/log-out.ts';
import { createListUsers, createLookUpUser, createReadUserByEmail } from './flows/administer/read-users.ts';
import { createEndSession, createListSessions } from './flows/sessions/own-sessions.ts';
import { createReadRevocations } from './flows/sessions/read-revocations.ts';
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
import { createRenewSecrets } from './flows/mfa/renew-secrets.ts';
import { createSecondFactorDue } from './flows/mfa/second-factor-due.ts';
import { createRequireStepUp, createStepUp } from './flows/mfa/step-up.ts';
import { createEnrolAtLogIn, createVerifySecondFactor } from './flows/mfa/verify-second-factor.ts';
import { createTrustDevice } from './flows/sessions/trust-device.ts';
import { createReadProfile, createUpdateProfile } from './flows/accounts/update-profile.ts';
import { createVerifyEmail } from './flows/accounts/verify-email.ts';
import type { BreachRule } from './domain/breach-rules.ts';
import { createSelectWorkspace } from './flows/sessions/select-workspace.ts';
import { createSwitchWorkspace } from './flows/sessions/switch-workspace.ts';
import { createActInWorkspace } from './flows/workspaces/act-in-workspace.ts';
import {
  createChangeMemberRole,
  createLeaveWorkspace,
  createListMembers,
  createRemoveMember,
  createTransferWorkspace,
} from './flows/workspaces/administer-members.ts';
import {
  createCreateWorkspace,
  createListAllWorkspaces,
  createListWorkspaces,
  createReadWorkspace,
  createSetWorkspaceStatus,
  createUpdateWorkspace,
} from './flows/workspaces/administer-workspaces.ts';
import {
  createAcceptInvitation,
  createInviteMember,
  createListInvitations,
  createRevokeInvitation,
} from './flows/workspaces/invite-members.ts';
import { createPlaces } from './flows/workspaces/places.ts';
import { createTellMemberships } from './flows/workspaces/tell-memberships.ts';
import type { Ports } from './ports.ts';
import type { AuditPorts, AuditNews } from './ports/audit.ts';

export type Flows = ReturnType<typeof createFlows>;

/** Everything this service does. */
export function createFlows(
  config: Config,
  ports: Ports & AuditPorts & { events: AuditNews },
  { rules, breachRules }: { rules: PasswordRules; breachRules: readonly BreachRule[] },
) {
  const { abandonMs, codeLives, keyLives, mfaPolicy, workspaceCreation, sessions: lives } = config;
  const { operators } = config.alerts;
  const defaultWorkspaceId = config.tokens.workspaceId;
  const places = createPlaces({ ...ports, defaultWorkspaceId });
  const lifetimes = { abandonMs, codeLives, keyLives, lives };
  const settings = { ...lifetimes, rules, breachRules, operators, mfaPolicy, workspaceCreation };
  const given = { ...ports, ...settings, places, defaultWorkspaceId };
  const challenging = (kind: ChallengeKind, proven: Proven) => issueChallenge(ports, kind, proven);
  const secondFactorDue = createSecondFactorDue(given);
  const continueLogIn = createContinueLogIn({ ...given, secondFactorDue, issueChallenge: challenging });
  const deps = { ...given, continueLogIn, requireStepUp: createRequireStepUp(given) };
  return {
    ...workspaceFlows(deps),
    ...apiKeyFlows(deps),
    selectWorkspace: createSelectWorkspace(deps),
    switchWorkspace: createSwitchWorkspace(deps),
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
    renewSecrets: createRenewSecrets(deps),
    enrolTotp: createEnrolTotp(deps),
    confirmTotp: createConfirmTotp(deps),
    disableTotp: createDisableTotp(deps),
    replaceBackupCodes: createReplaceBackupCodes(deps),
    resetSecondFactor: createResetSecondFactor(deps),
    refreshSession: createRefreshSession(deps),
    logOut: createLogOut(deps),
    logOutAll: createLogOutAll(deps),
    listSessions: createListSessions(deps),
    endSession: createEndSession(deps),
    readRevocations: createReadRevocations(deps),
    requireLiveSession: createRequireLiveSession(deps),
    readProfile: createReadProfile(deps),
    updateProfile: createUpdateProfile(deps),
    changePassword: createChangePassword(deps),
    lookUpUser: createLookUpUser(deps),
    readUserByEmail: createReadUserByEmail(deps),
    listUsers: createListUsers(deps),
    createUser: createCreateUser(deps),
    createUsers: createCreateUsers(deps),
    changeRole: createChangeRole(deps),
    changeStatus: createChangeStatus(deps),
    deleteUser: createDeleteUser(deps),
    deleteAllUsers: createDeleteAllUsers(deps),
    resetUserPassword: createResetUserPassword(deps),
    searchAudit: createSearchAudit(deps),
    verifyAudit: createVerifyAudit(deps),
    takeReports: createTakeReports(deps),
    takeAnchor: createTakeAnchor(deps),
    raiseAlerts: createRaiseAlerts(deps),
    ensureUser: createEnsureUser(deps),
    readMailedSecret: createReadMailedSecret(deps),
    verifyDirectly: createVerifyDirectly(deps),
  };
}

const apiKeyFlows = (
  deps: Parameters<typeof createCreateApiKey>[0] &
    Parameters<typeof createRotateApiKey>[0] &
    Parameters<typeof createVerifyApiKey>[0],
) => ({
  createApiKey: createCreateApiKey(deps),
  changeApiKey: createChangeApiKey(deps),
  rotateApiKey: createRotateApiKey(deps),
  deleteApiKey: createDeleteApiKey(deps),
  disableApiKeyOfUser: createDisableApiKeyOfUser(deps),
  listApiKeys: createListApiKeys(deps),
  verifyApiKey: createVerifyApiKey(deps),
});

/** What is done in workspaces, and what the other services are told of it. */
const workspaceFlows = (
  deps: Parameters<typeof createInviteMember>[0] &
    Parameters<typeof createCreateWorkspace>[0] &
    Parameters<typeof createTransferWorkspace>[0],
) => ({
  listWorkspaces: createListWorkspaces(deps),
  listAllWorkspaces: createListAllWorkspaces(deps),
  createWorkspace: createCreateWorkspace(deps),
  readWorkspace: createReadWorkspace(deps),
  updateWorkspace: createUpdateWorkspace(deps),
  setWorkspaceStatus: createSetWorkspaceStatus(deps),
  listMembers: createListMembers(deps),
  changeMemberRole: createChangeMemberRole(deps),
  removeMember: createRemoveMember(deps),
  leaveWorkspace: createLeaveWorkspace(deps),
  transferWorkspace: createTransferWorkspace(deps),
  inviteMember: createInviteMember(deps),
  listInvitations: createListInvitations(deps),
  revokeInvitation: createRevokeInvitation(deps),
  acceptInvitation: createAcceptInvitation(deps),
  tellMemberships: createTellMemberships(deps),
  actInWorkspace: createActInWorkspace(deps),
});
