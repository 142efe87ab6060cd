import type { Role, UserId } from '@tollgate/contracts';

/** `locked`: for a time, by an administrator; `disabled`: until further notice; `deleted`: for ever. */
export const USER_STATUSES = ['active', 'locked', 'disabled', 'deleted'] as const;
export type UserStatus = (typeof USER_STATUSES)[number];

export type User = Readonly<{
  id: UserId;
  username: string;
  usernameKey: string;
  email: string;
  /**
   * Absent for a decoy: the account that a sign-up with somebody else's address leaves behind. It holds its user name
   * and password like any unverified account, so that nothing tells the two apart, but it can never be verified.
   */
  emailKey?: string;
  pendingEmail?: string;
  isVerified: boolean;
  role: Role;
  status: UserStatus;
  passwordHash: string;
  /** Hashes of the passwords before, the newest last. */
  passwordHistory?: readonly string[];
  /** Absent when the password is as old as the account. */
  passwordSetAt?: Date;
  /** Grows whenever every session opened before must end: new password, new role, deletion. */
  tokenVersion: number;
  /** Where a login begins that names no workspace. */
  defaultWorkspaceId?: string;
  /** How often the account was changed. */
  revision: number;
  /** When an account that nobody verified gives its name and address free again. */
  abandonedAt?: Date;
  createdAt: Date;
  updatedAt: Date;
}>;

export type NewUser = Omit<User, 'tokenVersion' | 'revision' | 'pendingEmail' | 'defaultWorkspaceId'>;

/**
 * What two spellings of a user name or e-mail address have in common: compatibility forms unified and case folded
 * (Unicode 17, section 3.13: upper and then lower case reaches `ß`/`ss` and the final sigma).
 */
export const keyOf = (nameOrEmail: string): string =>
  nameOrEmail.normalize('NFKC').trim().toUpperCase().toLowerCase().normalize('NFKC');

/** A user name never holds an `@`, so the two kinds of identifier cannot be confused. */
export const isEmail = (identifier: string): boolean => identifier.includes('@');

/** A name as it is stored and shown: one spelling for what looks the same. */
export const displayName = (username: string): string => username.normalize('NFKC').trim();

export const mayLogIn = (user: User): boolean => user.status === 'active';
