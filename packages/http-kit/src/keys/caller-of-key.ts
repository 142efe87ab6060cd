import type { auth } from '@tollgate/contracts';
import type { UserCaller } from '../caller.ts';

/** Everything of a caller but the key itself, which nothing but the request holds. */
export type KeyCaller = Omit<UserCaller, 'token'>;

/** The caller that a verified key stands for. */
export const callerOfKey = ({ keyId, user, scopes, ...key }: auth.VerifiedKey): KeyCaller => ({
  kind: 'user',
  userId: user.id,
  username: user.username,
  email: user.email,
  role: user.role,
  workspaceId: key.workspaceId,
  ...(key.workspaceRole !== undefined && { workspaceRole: key.workspaceRole }),
  version: key.version,
  ...(key.memberVersion !== undefined && { memberVersion: key.memberVersion }),
  apiKey: { id: keyId, scopes },
  issuedAt: Date.parse(key.verifiedAt),
  expiresAt: Date.parse(key.expiresAt),
});
