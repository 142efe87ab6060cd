import type { UserId } from '@tollgate/contracts';

export type CodeKind = 'verify-email' | 'change-email' | 'reset-password' | 'invitation';

/** A secret that was mailed, as it is stored: bound to one user and one address, good for one use. */
export type MailedCode = Readonly<{
  kind: CodeKind;
  hash: string;
  userId: UserId;
  emailKey: string;
  email: string;
  createdAt: Date;
  expiresAt: Date;
}>;

export type CodeLives = Readonly<Record<CodeKind | 'welcome', number>>;

const VERIFICATION_LENGTH = 6;

/** The length says which mail a code came from: 6 digits for a new account, 64 for a changed address. */
export const kindOfVerification = (token: string): CodeKind =>
  token.length === VERIFICATION_LENGTH ? 'verify-email' : 'change-email';
