import type { auth } from '@tollgate/contracts';
import type { AuditLine } from '../domain/audit-line.ts';
import type { Session } from '../domain/session.ts';
import type { User } from '../domain/user.ts';
import { deviceName } from './device-name.ts';

/** How accounts are shown on the wire. */

export const publicUser = ({ id, username, email, isVerified, role }: User): auth.PublicUser => ({
  id,
  username,
  email,
  isVerified,
  role,
});

export const accountView = (user: User): auth.AccountView => ({ ...ownView(user), status: user.status });

const ownView = (user: User): auth.AccountView => ({
  _id: user.id,
  username: user.username,
  email: user.email,
  isVerified: user.isVerified,
  role: user.role,
  createdAt: user.createdAt.toISOString(),
  updatedAt: user.updatedAt.toISOString(),
});

export const profileView = (user: User) => ({
  ...ownView(user),
  ...(user.pendingEmail !== undefined && { pendingEmail: user.pendingEmail }),
  ...(user.defaultWorkspaceId !== undefined && { defaultWorkspaceId: user.defaultWorkspaceId }),
  __v: user.revision,
});

/** This one view of the service document is written in snake_case. */
export const adminView = (user: User) => ({
  user_id: user.id,
  username: user.username,
  email: user.email,
  role: user.role,
  is_verified: user.isVerified,
  created_at: user.createdAt.toISOString(),
  updated_at: user.updatedAt.toISOString(),
});

export const existenceView = (user: User, isAdmin: boolean) => ({
  username: user.username,
  active: user.status === 'active',
  deleted: false as const,
  _id: user.id,
  ...(isAdmin && accountView(user)),
});

export const auditLineView = ({
  chain,
  at,
  eventId: _id,
  previousHash: _previous,
  keyId: _key,
  ...line
}: AuditLine) => ({
  ...line,
  workspaceId: chain,
  at: at.toISOString(),
});

export const sessionView = (session: Session, currentId: string | undefined) => ({
  id: session.id,
  device: deviceName(session.userAgent),
  ipAddress: session.ip,
  createdAt: session.createdAt.toISOString(),
  lastUsedAt: session.rotatedAt.toISOString(),
  expiresAt: new Date(Math.min(session.idleUntil.getTime(), session.endsAt.getTime())).toISOString(),
  current: session.id === currentId,
});
