import { verifyAudit, verifyLedger } from '../verified.ts';
import type { Fault } from './judge.ts';
import type { KillWorld } from './world.ts';

/** I1 to I10 by the services' own verification, and what must be 0 in all of the books, when everything is over. */
export async function verify({ fleet: { environments }, books, debts }: KillWorld): Promise<Fault[]> {
  const ledger = await verifyLedger(environments.accounting);
  const audit = await verifyAudit(environments.auth);
  const [open, sum, owed] = await Promise.all([books.openHolds(), books.sumOfAllEntries(), debts.count()]);
  const rows = await books.query('SELECT id FROM user_accounts WHERE total_credits < 0 OR held_credits <> 0 LIMIT 5');
  const wrong: readonly (readonly [number, Fault['kind'], string])[] = [
    ...ledger.map(({ offenders, invariant, title }) => [offenders, 'lost', `${invariant} ${title}`] as const),
    [audit.offenders, 'lost', 'I10 The audit log is as it was written'],
    [open, 'open', 'holds are open at the end'],
    [owed, 'open', 'ends are owed at the end'],
    [sum, 'lost', 'all entries together are not 0'],
    [rows.length, 'negative', 'accounts have less than nothing, or hold something'],
  ];
  return wrong.flatMap(([count, kind, what]) => (count === 0 ? [] : [{ kind, what: `${what}: ${count}` }]));
}
