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
  'access.refused',
  'credits.adjusted',
  'export.made',
  'alert.raised',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/**
 * What a line may say beside who, whom, when and from where. Nothing else gets into the log, so that a secret cannot slip in
 * with an object that was passed on; `from` and `to` are what was before and what is now.
 */
const AUDIT_FACTS = {
  'account.signed-up': [],
  'account.sign-up-refused': [],
  'account.created': ['role', 'seeded', 'isVerified'],
  'account.renamed': ['from', 'to'],
  'account.role-changed': ['from', 'to'],
  'account.deleted': [],
  'account.locked': [],
  'account.unlocked': [],
  'account.disabled': [],
  'account.enabled': [],
  'accounts.deleted': ['deleted', 'preserveAdmins'],
  'email.verified': [],
  'email.change-requested': [],
  'email.changed': [],
  'password.changed': [],
  'password.reset': [],
  'password.set-by-admin': ['how'],
  'password.expired': [],
  'mfa.enabled': [],
  'mfa.disabled': [],
  'mfa.reset-by-admin': [],
  'mfa.refused': [],
  'mfa.backup-code-used': [],
  'mfa.backup-codes-replaced': [],
  'session.opened': [],
  'session.stepped-up': [],
  'session.refused': ['identifier', 'site', 'status'],
  'session.ended': ['sessionId'],
  'session.all-ended': [],
  'session.refresh-reused': ['sessionId'],
  'session.switched': ['workspaceId'],
  'workspace.created': ['workspaceId'],
  'workspace.updated': ['workspaceId'],
  'workspace.disabled': ['workspaceId'],
  'workspace.enabled': ['workspaceId'],
  'workspace.transferred': ['workspaceId', 'from', 'to'],
  'member.joined': ['workspaceId', 'role', 'invitedBy'],
  'member.role-changed': ['workspaceId', 'from', 'to'],
  'member.removed': ['workspaceId'],
  'member.left': ['workspaceId'],
  'invitation.sent': ['workspaceId', 'invitationId', 'role'],
  'invitation.revoked': ['workspaceId', 'invitationId'],
  'account.default-workspace-changed': ['workspaceId'],
  'api-key.created': ['keyId', 'name', 'scopes'],
  'api-key.changed': ['keyId', 'name', 'disabled', 'limits'],
  'api-key.rotated': ['keyId', 'overlapSeconds'],
  'api-key.deleted': ['keyId', 'name'],
  'api-key.disabled-by-admin': ['keyId', 'name'],
  'mail.given-up': ['kind', 'reason', 'attempts'],
  'access.refused': ['code', 'operation', 'count'],
  'credits.adjusted': ['operation', 'credits', 'from', 'to'],
  'export.made': ['file', 'rows', 'isComplete'],
  'alert.raised': ['rule', 'about', 'count', 'windowSeconds'],
} as const satisfies Record<AuditAction, readonly string[]>;

type Fact = string | number | boolean;
export type AuditFacts = Readonly<Record<string, Fact>>;
type FactsOf<Action extends AuditAction> = { readonly [Name in (typeof AUDIT_FACTS)[Action][number]]?: Fact };

type EventOf<Action extends AuditAction> = Action extends AuditAction
  ? Readonly<{
      action: Action;
      actorId?: UserId;
      targetId?: string;
      origin?: Origin;
      /** The tenant in whose chain the line belongs; that of the caller's token when absent. */
      workspaceId?: string;
      facts?: FactsOf<Action>;
    }>
  : never;

/** One line of the audit log as a flow tells it. */
export type AuditEvent = EventOf<AuditAction>;

/** What another service reports; `eventId` is the same when it is reported again. */
export type ReportedEvent = Readonly<{
  eventId: string;
  service: string;
  action: AuditAction;
  actorId?: UserId | undefined;
  targetId?: string | undefined;
  workspaceId?: string | undefined;
  origin: Origin;
  facts: Readonly<Record<string, unknown>>;
}>;

/** All scopes that an API key can have fit. */
const LONGEST_FACT = 512;

/** The facts that a line of this action may hold, bounded. */
export function permittedFacts(action: AuditAction, facts: Readonly<Record<string, unknown>> = {}): AuditFacts {
  const names: readonly string[] = AUDIT_FACTS[action];
  const kept = names.flatMap((name): [string, Fact][] => {
    const fact = facts[name];
    if (typeof fact === 'string') return [[name, printable(fact, LONGEST_FACT)]];
    return typeof fact === 'boolean' || Number.isFinite(fact) ? [[name, fact as Fact]] : [];
  });
  return Object.fromEntries(kept);
}

/** Text that is one line everywhere it is shown and the same after it was stored: no control characters, well formed, bounded. */
export const printable = (text: string, longest: number): string =>
  text
    .slice(0, longest)
    .toWellFormed()
    .replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
