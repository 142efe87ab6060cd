import type { NewRevocation } from '../domain/revocation.ts';

export type Revocations = {
  /** Written after the change that it tells of and before the answer; the same fact twice is one entry. */
  add(entries: readonly NewRevocation[], now: Date): Promise<void>;
};
