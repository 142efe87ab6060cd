import type { Ending, NewRevocation, Revocation } from '../domain/revocation.ts';

/** A place in the order in which entries are told. */
export type Place = Readonly<{ madeAt: number; id: string }>;

export type Revocations = {
  /** Written after the change that it tells of and before the answer; the same fact twice is one entry. */
  add(entries: readonly (NewRevocation & Ending)[], now: Date): Promise<void>;
  /** Up to `limit` entries behind a place. */
  list(after: Place, limit: number): Promise<Revocation[]>;
};

/** What something that has ended should have told, and when it ended. */
export type Ended = Readonly<{ entry: NewRevocation; at: Date }>;
type Find = (from: Date, to: Date, limit: number) => Promise<Ended[]>;

export type EndedAccess = {
  /** Accounts of a later version that changed from one moment up to another, in the order of time. */
  accounts: Find;
  /** The same for sessions that ended alone, and not with their account. */
  sessions: Find;
  /** The same for memberships of a later version. */
  members: Find;
  /** Workspaces that are disabled. */
  workspaces: Find;
  /** API keys that were disabled, and those whose secret ended at once. */
  keys: Find;
};
