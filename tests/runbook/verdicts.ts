import { createAuditor as createLedgerAuditor } from '../../services/accounting/src/audit-deps.ts';
import { readAccountingConfig } from '../../services/accounting/src/config.ts';
import { createAuditor as createAuditLogAuditor } from '../../services/auth/src/audit-deps.ts';
import { readAuthConfig } from '../../services/auth/src/config.ts';

type Env = Readonly<Record<string, string>>;

/** What `pnpm ledger:verify` and `pnpm audit:verify` find wrong. */
export async function offendersIn({ auth, accounting }: { auth: Env; accounting: Env }): Promise<unknown[]> {
  const ledger = createLedgerAuditor(readAccountingConfig(accounting));
  const auditLog = await createAuditLogAuditor(readAuthConfig(auth));
  try {
    const { checks } = await ledger.verify({});
    const { faults } = await auditLog.verify({});
    return [...checks.filter(({ offenders }) => offenders > 0), ...faults];
  } finally {
    await Promise.all([ledger.close(), auditLog.close()]);
  }
}
