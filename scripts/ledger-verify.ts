// Checks accounting's books without changing anything: `pnpm ledger:verify [--user id] [--heads file] [--json]`.
// Reads the environment of the service, or that of a running ./scripts/dev. Ends with 0: the books are right, 1: something is wrong with them, 2: could not check.
import { parseArgs } from 'node:util';
import { accounting } from '@tollgate/contracts';
import { createAuditor } from '../services/accounting/src/audit-deps.ts';
import { readAccountingConfig } from '../services/accounting/src/config.ts';
import { readSecrets, readState } from './dev-platform/state.ts';
import { endWithVerdict, judge, readJsonLines } from './dev-platform/verify-command.ts';

const USAGE = `Usage: pnpm ledger:verify [--user <id>] [--heads <file>] [--json]
  --user    one account only, and not the signed heads
  --heads   also compare the last thousand heads of this file (LEDGER_HEAD_FILE, or one that was moved away) with the database
  --json    a report with the first offending row of each check

Environment: that of the accounting service; without a database in it, what ./scripts/dev runs. Ends with 0 (right), 1 (something is wrong) or 2 (could not check).`;

const OPTIONS = {
  user: { type: 'string' },
  heads: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Nobody should have to copy passwords to look at the books of the development installation. */
function environment(): Readonly<Record<string, string | undefined>> {
  const isGiven = ['DATABASE_URL', 'DATABASE_URL_FILE', 'DB_HOST'].some((name) => process.env[name] !== undefined);
  const dev = isGiven ? undefined : readState();
  return dev?.ready ? { ...readSecrets(), DATABASE_URL: dev.databases.postgres.url } : process.env;
}

type Report = Awaited<ReturnType<ReturnType<typeof createAuditor>['verify']>>;

function print({ ok, checkedAt, checks }: Report, isJson: boolean): void {
  const bodies = checks.map((check) => ({ ...check, ok: check.offenders === 0 }));
  if (isJson) return void process.stdout.write(`${JSON.stringify({ ok, checkedAt, checks: bodies }, null, 2)}\n`);
  for (const { invariant, title, offenders, first } of checks) {
    const verdict = offenders === 0 ? 'ok    ' : 'WRONG ';
    process.stdout.write(`${verdict} ${invariant}  ${title}\n`);
    if (offenders > 0) process.stdout.write(`         ${offenders} in all, first ${JSON.stringify(first)}\n`);
  }
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) return process.stdout.write(`${USAGE}\n`);
  const { user: userId, heads, json } = values;
  const kept = heads === undefined ? undefined : await readJsonLines(heads, accounting.LedgerHead, 'head');
  const auditor = createAuditor(readAccountingConfig(environment()));
  return judge(auditor, { userId, kept }, (report) => print(report, json));
}

await endWithVerdict(main, 'The ledger could not be checked');
