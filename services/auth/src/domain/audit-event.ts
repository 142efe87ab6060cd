import type { UserId } from '@tollgate/contracts';

/** Where a request came from. */
export type Origin = Readonly<{
  ip: string;
  userAgent: string;
  requestId: string;
  /** Whether a page in a browser sent it: pages have cookies, and people leave them open. */
  isPage?: boolean;
}>;

export const AUDIT_ACTIONS = [
  'account.signed-up',
  'account.sign-up-refused',
  'account.created',
  'account.renamed',
  'account.role-changed',
  'account.deleted',
  'account.locked',
  'account.unlocked',
  'account.disabled',
  'account.enabled',
  'accounts.deleted',
  'email.verified',
  'email.change-requested',
  'email.changed',
  'password.changed',
  'password.reset',
  'password.set-by-admin',
  'mfa.enabled',
  'mfa.disabled',
  'mfa.reset-by-admin',
  'mfa.refused',
  'mfa.backup-code-used',
  'mfa.backup-codes-replaced',
  'password.expired',
  'session.opened',
  'session.refused',
  'session.ended',
  'session.all-ended',
  'session.stepped-up',
  'session.refresh-reused',
  'session.switched',
  'workspace.created',
  'workspace.updated',
  'workspace.disabled',
  'workspace.enabled',
  'workspace.transferred',
  'member.joined',
  'member.role-changed',
  'member.removed',
  'member.left',
  'invitation.sent',
  'invitation.revoked',
  'account.default-workspace-changed',
  'api-key.created',
  'api-key.changed',
  'api-key.rotated',
  'api-key.deleted',
  'api-key.disabled-by-admin',
  'mail.given-up',
] as const;
type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** One line of the audit log. Facts are small and never hold a secret. */
export type AuditEvent = Readonly<{
  action: AuditAction;
  actorId?: UserId;
  targetId?: UserId;
  origin?: Origin;
  facts?: Readonly<Record<string, string | number | boolean>>;
}>;
