import type { NewRevocation, Revocation } from '../domain/revocation.ts';

/** A place in the order in which entries are told. */
export type Place = Readonly<{ madeAt: number; id: string }>;

export type Revocations = {
  /** Written after the change that it tells of and before the answer; the same fact twice is one entry. */
  add(entries: readonly NewRevocation[], now: Date): Promise<void>;
  /** Up to `limit` entries behind a place. */
  list(after: Place, limit: number): Promise<Revocation[]>;
};
