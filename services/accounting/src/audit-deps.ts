import { createLogger, type Logger } from '@tollgate/telemetry';
import { createHeadFile } from './clients/head-file.ts';
import type { Config } from './config.ts';
import { createHeadKeys } from './domain/ledger-head.ts';
import { createCompareHeads, createVerifyLedger } from './flows/audit/verify-ledger.ts';
import type { Ports, SignedHead } from './ports.ts';
import { createLedgerAudit } from './store/audit/ledger-audit.ts';
import { createLedgerHeads } from './store/audit/ledger-heads.ts';
import { openPostgres, type Postgres } from './store/postgres.ts';

type AuditPorts = Pick<Ports, 'audit' | 'heads' | 'headKeys' | 'keepHead'>;

/** What verifies, reconciles and signs the books. */
export function createAuditPorts({ ledger }: Pick<Config, 'ledger'>, postgres: Postgres): AuditPorts {
  const ring = ledger.signingKeys?.map(({ kid, secret }) => ({ id: kid, secret: secret.reveal() }));
  return {
    audit: createLedgerAudit(postgres),
    heads: createLedgerHeads(postgres),
    headKeys: ring && createHeadKeys(ring),
    keepHead: ledger.headFile === undefined ? undefined : createHeadFile(ledger.headFile),
  };
}

/** The part of the service that `pnpm ledger:verify` needs: it reads, with the role of the service. */
export function createAuditor(
  config: Config,
  logger: Logger = createLogger({ service: 'accounting', level: 'error' }),
) {
  const { url, acquireMs, isPooled } = config.database;
  const postgres = openPostgres({
    url: url.reveal(),
    poolSize: 1,
    acquireMs,
    isPooled,
    // Nobody is waiting for a request to end.
    reportMs: 0,
    onFault: (error) => logger.error('a database connection broke', { error }),
  });
  const ports = createAuditPorts(config, postgres);
  const verifyLedger = createVerifyLedger(ports);
  const compareHeads = createCompareHeads(ports);
  return {
    /** Everything, or one account; and whether `kept` heads are in the database. */
    async verify({ userId, kept }: { userId?: string | undefined; kept?: readonly SignedHead[] | undefined }) {
      if (kept && !ports.headKeys) throw new Error('LEDGER_SIGNING_SECRET is needed to check heads');
      const { checkedAt, checks } = await verifyLedger({ userId, isUnhurried: true });
      const all = kept ? [...checks, await compareHeads(kept)] : checks;
      return { ok: all.every(({ offenders }) => offenders === 0), checkedAt, checks: all };
    },
    close: () => postgres.close(),
  };
}
