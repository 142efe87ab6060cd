import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { User } from '../harness/accounting.ts';

export type Item = Readonly<Record<string, unknown>>;
export type Answer = { outcome: string; available_credits: string | null; hold: Record<string, unknown> | null };
const RULE = randomUUID();
export const LINE = { flat: '0', base: '0', slope: '1', divisor: '1' };

/** Items as the store sends them; a statement that may wait for the locks of others. */
export async function ask(
  db: Pick<pg.Pool, 'query'>,
  name: 'open_holds' | 'close_holds',
  items: readonly Item[],
): Promise<Answer[]> {
  const sql = `SELECT * FROM ledger.${name}($1, true)`;
  return (await db.query<Answer>(sql, [JSON.stringify(items)])).rows;
}
export const opening = (user: Pick<User, 'userId'>, holdId: string, output: number, more: object = {}): Item => ({
  hold_id: holdId,
  claims: { id: user.userId, role: 'enduser' },
  opened_by: 'chat-proxy',
  open_key: `hold:${holdId}`,
  open_hash: `${output}`,
  upstream: 'openai',
  model: 'priced',
  price_rule_id: RULE,
  units: { output },
  metadata: { a: 1 },
  line: LINE,
  output,
  lease_seconds: 60,
  actor: 'service:chat-proxy',
  request_id: 'r',
  ...more,
});
export const ending = (user: Pick<User, 'userId'>, holdId: string, charge: number, more: object = {}): Item => ({
  hold_id: holdId,
  user_id: user.userId,
  opened_by: 'chat-proxy',
  cause: 'settle',
  charge,
  rounding_micro: '7',
  outcome: 'completed',
  usage_source: 'provider',
  units: { input: 3, cache_read: 2, output: charge },
  raw_usage: { total: charge },
  metadata: { b: 2 },
  close_key: `settle:${holdId}`,
  close_hash: `${charge}`,
  policy: 'absorb',
  price_rule_id: RULE,
  actor: 'service:chat-proxy',
  request_id: 'r',
  ...more,
});
