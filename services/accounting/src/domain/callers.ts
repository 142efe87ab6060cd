import type { Role, UserId } from '@tollgate/contracts';

/** Who an account belongs to, as its owner's newest token says. Absent parts are not known and change nothing. */
export type Claims = Readonly<{ id: UserId; username?: string; email?: string; role?: Role; issuedAt?: Date }>;

/** The person behind a call, from the token that proved it. */
export type Person = Readonly<{
  userId: UserId;
  username: string;
  email: string;
  role: Role;
  workspaceId?: string;
  /** The key that proved the person, if one did. */
  apiKey?: Readonly<{ id: string }>;
  issuedAt: number;
}>;

/** What a person's token says about the account. */
export const claimsOf = ({ userId, username, email, role, issuedAt }: Person): Claims => ({
  id: userId,
  ...(username !== '' && { username }),
  ...(email !== '' && { email }),
  role,
  issuedAt: new Date(issuedAt),
});

/** How the ledger names who did something. */
export const actorOf = ({ role, userId }: Pick<Person, 'role' | 'userId'>): string => `${role}:${userId}`;
export const serviceActor = (service: string): string => `service:${service}`;
