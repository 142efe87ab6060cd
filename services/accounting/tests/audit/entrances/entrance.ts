import type { Accounting, User } from '../../harness/accounting.ts';
import type { StatementLog } from './statement-log.ts';

/** How an entrance is called so that it writes, and what must stand before its first write, or be it. */
export type Entrance = Readonly<{
  guard: RegExp;
  /** The lock is taken by the query of the loop around the writes, which the database writes down when the loop has ended. */
  isLoop?: boolean;
  run: () => Promise<string[]>;
}>;
export type Entrances = Record<string, Entrance>;
export type World = Readonly<{ accounting: Accounting; alice: User; log: StatementLog }>;

export const ACCOUNT = /FROM user_accounts WHERE .*FOR (NO KEY )?UPDATE/;
export const HOLD = /FROM streaming_sessions WHERE .*FOR (NO KEY )?UPDATE/;
export const ADVISORY = /pg_advisory_xact_lock/;

export const claimsOf = ({ userId }: User) => ({ id: userId, role: 'enduser' });
