import type { KillWorld } from './world.ts';
import type { Debt } from './debts.ts';

/** A hold as the ledger has it. */
export interface HoldRow {
  readonly id: string;
  readonly status: 'active' | 'settled' | 'voided' | 'expired';
  readonly held: number;
  readonly charged: number;
  /** Output tokens that accounting has heard of. */
  readonly output: number;
  /** What the usage log says that it cost, corrections included. */
  readonly logged: number;
}

const HOLDS = `
  SELECT s.id, s.status, s.held_credits::int AS held, s.charged_credits::int AS charged,
         coalesce((s.checkpoint->>'output')::int, 0) AS output,
         coalesce((SELECT sum(u.credits) FROM usage_logs u WHERE u.hold_id = s.id), 0)::int AS logged
  FROM streaming_sessions s WHERE s.user_id = $1 ORDER BY s.created_at, s.id`;

/** Both books about one person, at one time. */
export interface BothBooks {
  readonly available: number;
  readonly holds: readonly HoldRow[];
  readonly debts: readonly Debt[];
}

export async function booksOf({ books, debts }: KillWorld, userId: string): Promise<BothBooks> {
  const [{ available }, holds, owed] = await Promise.all([
    books.ofUser(userId),
    books.query<HoldRow & Record<string, unknown>>(HOLDS, [userId]),
    debts.ofUser(userId),
  ]);
  return { available, holds, debts: owed };
}
