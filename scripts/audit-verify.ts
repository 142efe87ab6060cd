// Checks auth's audit log without changing anything: `pnpm audit:verify [--chain workspace] [--anchors file] [--json]`.
// Reads the environment of the service, or that of a running ./scripts/dev. Ends with 0: nothing was changed, 1: something was, 2: could not check.
import { parseArgs } from 'node:util';
import { auth } from '@tollgate/contracts';
import { createAuditor } from '../services/auth/src/audit-deps.ts';
import { readAuthConfig } from '../services/auth/src/config.ts';
import { readSecrets, readState } from './dev-platform/state.ts';
import { endWithVerdict, judge, readJsonLines } from './dev-platform/verify-command.ts';

const USAGE = `Usage: pnpm audit:verify [--chain <workspace>] [--anchors <file>] [--json]
  --chain    one workspace only
  --anchors  also require the anchors of this file (AUDIT_ANCHOR_FILE, or one that was moved away) to be in the database
  --json     a report with the first offending rows

Environment: that of the auth service; without a database in it, what ./scripts/dev runs. Ends with 0 (as it was written), 1 (something was changed) or 2 (could not check).`;

const OPTIONS = {
  chain: { type: 'string' },
  anchors: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Nobody should have to copy secrets to look at the log of the development installation. */
function environment(): Readonly<Record<string, string | undefined>> {
  const isGiven = ['MONGODB_URI', 'MONGODB_URI_FILE', 'MONGO_URI', 'MONGODB_URL'].some(
    (name) => process.env[name] !== undefined,
  );
  const dev = isGiven ? undefined : readState();
  if (!dev?.ready) return process.env;
  const database = new URL(dev.databases.mongo.url);
  database.pathname = '/tollgate_auth';
  return { ...readSecrets(), MONGODB_URI: database.href, SMTP_URL: dev.smtpUrl };
}

type Report = Awaited<ReturnType<Awaited<ReturnType<typeof createAuditor>>['verify']>>;

function print(report: Report, isJson: boolean): void {
  if (isJson) return void process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  const { ok, chains, lines, anchors, offenders, faults } = report;
  process.stdout.write(`${ok ? 'ok    ' : 'WRONG '} ${lines} lines in ${chains} chains, ${anchors} anchors\n`);
  if (!ok) process.stdout.write(`         ${offenders} in all, first ${JSON.stringify(faults[0])}\n`);
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) return process.stdout.write(`${USAGE}\n`);
  const { chain, anchors, json } = values;
  const kept = anchors === undefined ? undefined : await readJsonLines(anchors, auth.AuditAnchor, 'anchor');
  const auditor = await createAuditor(readAuthConfig(environment()));
  return judge(auditor, { chain, kept }, (report) => print(report, json));
}

await endWithVerdict(main, 'The audit log could not be checked');
