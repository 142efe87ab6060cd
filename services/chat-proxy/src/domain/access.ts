import type { ErrorCode } from '@tollgate/contracts';
import type { UserId } from './wire-types.ts';

/** What an answer was begun with, as far as a revocation can end it. */
export type Access = Readonly<{
  userId: UserId;
  sessionId?: string;
  workspaceId?: string;
  version?: number;
  memberVersion?: number;
  apiKey?: Readonly<{ id: string }>;
  /** Milliseconds since 1970. */
  issuedAt: number;
}>;

const CODES: Readonly<Record<string, ErrorCode>> = {
  'account-locked': 'ACCOUNT_LOCKED',
  'account-disabled': 'ACCOUNT_DISABLED',
  'workspace-disabled': 'WORKSPACE_DISABLED',
  'key-revoked': 'KEY_REVOKED',
};

/** What a user is told whose answer was ended for this reason. */
export const codeOfEnd = (reason: string): ErrorCode =>
  Object.hasOwn(CODES, reason) ? (CODES[reason] ?? 'ACCESS_REVOKED') : 'ACCESS_REVOKED';
