import type { UserId } from '@tollgate/contracts';

/** What somebody who has proven the password must still do before a session is opened. */
export const CHALLENGE_KINDS = ['second-factor', 'enrolment', 'workspace'] as const;
export type ChallengeKind = (typeof CHALLENGE_KINDS)[number];

/** A login that stopped half-way. The secret of it is in the hands of the client, its hash is here; it opens nothing else. */
export type Challenge = Readonly<{
  kind: ChallengeKind;
  hash: string;
  userId: UserId;
  /** Of the account when the password was proven: a challenge of an older version is over. */
  tokenVersion: number;
  /** Whether a second factor was proven as well. */
  hasSecondFactor: boolean;
  /** The workspace the client asked for when it logged in. */
  workspaceId?: string;
  createdAt: Date;
  expiresAt: Date;
}>;
