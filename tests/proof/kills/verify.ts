import { callJson, eventually } from '@tollgate/test-kit';
import type { Fault } from './judge.ts';
import type { KillWorld } from './world.ts';

interface LedgerVerdict {
  readonly checks: readonly { readonly invariant: string; readonly title: string; readonly offenders: number }[];
}

interface AuditVerdict {
  readonly offenders: number;
}

/** I1 to I10 by the services' own verification, and what must be 0 in all of the books, when everything is over. */
export async function verify({ fleet: { urls }, admin, books, debts }: KillWorld): Promise<Fault[]> {
  await admin.logIn();
  const ask = <T>(url: string) =>
    eventually(async () => {
      const { status, body } = await callJson<T>('GET', url, { token: admin.accessToken });
      return status === 200 ? body : undefined;
    }, `an answer of ${url}`);
  const ledger = await ask<LedgerVerdict>(`${urls.accounting}/api/credits/ledger/verify`);
  const audit = await ask<AuditVerdict>(`${urls.auth}/api/admin/audit/verify`);
  const [open, sum, owed] = await Promise.all([books.openHolds(), books.sumOfAllEntries(), debts.count()]);
  const rows = await books.query('SELECT id FROM user_accounts WHERE total_credits < 0 OR held_credits <> 0 LIMIT 5');
  const wrong: readonly (readonly [number, Fault['kind'], string])[] = [
    ...ledger.checks.map(({ offenders, invariant, title }) => [offenders, 'lost', `${invariant} ${title}`] as const),
    [audit.offenders, 'lost', 'I10 The audit log is as it was written'],
    [open, 'open', 'holds are open at the end'],
    [owed, 'open', 'ends are owed at the end'],
    [sum, 'lost', 'all entries together are not 0'],
    [rows.length, 'negative', 'accounts have less than nothing, or hold something'],
  ];
  return wrong.flatMap(([count, kind, what]) => (count === 0 ? [] : [{ kind, what: `${what}: ${count}` }]));
}
