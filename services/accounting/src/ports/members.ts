import type { auth } from '@tollgate/contracts';
import type { Scope } from '../domain/scope.ts';

/** The copy of who belongs to which workspace; auth has the truth. */
export type Members = {
  /** When the newest change up to an instant was made that is known, by the clock of auth. */
  newest(until: Date): Promise<Date | undefined>;
  /** Takes over what is newer than the copy; the number taken. */
  takeOver(changes: readonly auth.MembershipChange[]): Promise<number>;
};

/** Asks auth what has become of memberships. */
export type AskMemberships = (question: {
  since: Date | undefined;
  cursor: string | undefined;
}) => Promise<Readonly<{ changes: readonly auth.MembershipChange[]; nextCursor: string | null }>>;

/** Whether an account belongs to a part of the installation. */
export type IsWithin = (accountId: string, scope: Scope) => Promise<boolean>;
