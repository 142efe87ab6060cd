import { KeyScope, type OperationSpec, PERMISSIONS, type Role, ROLES, type ServiceName } from '@tollgate/contracts';

/** Who may knock. The key is an administrator's, with every scope there is. The last one leads another workspace, so that its token says "supervisor". */
export const MATRIX_CALLERS = [
  'nobody',
  'expired token',
  'end user',
  'supervisor',
  'admin',
  'service',
  'API key',
  'admin of another workspace',
] as const;
export type MatrixCaller = (typeof MATRIX_CALLERS)[number];

/** `yes`: let in; `filtered`: let in, and shown only what belongs to the workspace of the token; else the refusal. */
export type Cell = 'yes' | 'filtered' | '401' | '403' | '404';

/** Operations that reach for something of a workspace or of another user, and what they answer somebody who is not in it. */
export const REACHES: Readonly<Record<string, 'filtered' | '404'>> = {
  readWorkspace: '404',
  updateWorkspace: '404',
  leaveWorkspace: '404',
  transferWorkspace: '404',
  listMembers: '404',
  changeMemberRole: '404',
  removeMember: '404',
  inviteMember: '404',
  listInvitations: '404',
  revokeInvitation: '404',
  switchWorkspace: '404',
  listWorkspaces: 'filtered',

  readBalanceOfUser: '404',
  allocateCredits: '404',
  setCredits: '404',
  removeCredits: '404',
  adjustCredits: '404',
  explainTransaction: '404',
  readUsageOfUser: '404',
  listUsageOfUser: '404',
  reportUsage: '404',
  listActiveSessionsOfUser: '404',
  listRecentSessionsOfUser: '404',
  listAllocations: 'filtered',
  listRecentSessions: 'filtered',

  readHistory: '404',
  deleteSession: '404',
  renameSession: '404',
  exportSession: '404',
  exportSessions: 'filtered',
  listSessions: 'filtered',
  listSessionFiles: 'filtered',
  deleteHistory: 'filtered',
};

/** Operations that look as if they did, and why they do not. */
const HARMLESS: Readonly<Record<string, string>> = {
  readUser: 'says that a user exists and what they are called, to every user of the installation',
  readReports: 'shows nothing but the role',
};

const NAMES_SOMEBODY = /:(userId|workspaceId|sessionId|invitationId)\b/;

/** An operation that supervisors may use for others, or whose path names one, without a line above. */
export function isUnjudged(operation: OperationSpec): boolean {
  const callers = PERMISSIONS[operation.permission];
  if (typeof callers === 'string' || !(callers as readonly Role[]).includes('supervisor')) return false;
  const reachesOut = NAMES_SOMEBODY.test(operation.path) || !(callers as readonly Role[]).includes('enduser');
  return reachesOut && !Object.hasOwn(REACHES, operation.id) && !Object.hasOwn(HARMLESS, operation.id);
}

/** What each caller meets at an operation. */
export function cellsOf(operation: OperationSpec, service: ServiceName): Readonly<Record<MatrixCaller, Cell>> {
  const callers = PERMISSIONS[operation.permission];
  const isPublic = callers === 'anyone';
  const admits = (role: Role): Cell =>
    isPublic || (typeof callers !== 'string' && (callers as readonly Role[]).includes(role)) ? 'yes' : '403';
  const credential: Cell = isPublic ? 'yes' : '401';
  const [enduser, supervisor, admin] = ROLES.map(admits) as [Cell, Cell, Cell]; // one for each of three
  return {
    nobody: credential,
    'expired token': credential,
    'end user': enduser,
    supervisor,
    admin,
    service: serviceCell(callers, service),
    'API key': isPublic || KeyScope.safeParse(operation.permission).success ? 'yes' : '403',
    'admin of another workspace': supervisor === 'yes' ? (REACHES[operation.id] ?? 'yes') : supervisor,
  };
}

/** The proxy is called by nobody but users: to it a service's token is nonsense. */
function serviceCell(callers: (typeof PERMISSIONS)[keyof typeof PERMISSIONS], service: ServiceName): Cell {
  if (callers === 'anyone' || callers === 'service') return 'yes';
  return service === 'chat-proxy' ? '401' : '403';
}
