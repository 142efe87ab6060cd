import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** One check of `ledger:verify` or of `audit:verify`. */
export interface Verdict {
  readonly invariant: string;
  readonly title: string;
  readonly offenders: number;
  readonly first: unknown;
}

type Env = Readonly<Record<string, string>>;

/** What the command for operators says, which also compares every lot with every other one: the route for administrators has no time for that. */
export async function verifyLedger(accounting: Env): Promise<Verdict[]> {
  const { checks } = await verified<{ checks: Verdict[] }>('ledger-verify', accounting);
  return checks.map(({ invariant, title, offenders, first }) => ({ invariant, title, offenders, first }));
}

export async function verifyAudit(auth: Env): Promise<Verdict> {
  type Report = { ok: boolean; offenders: number; faults: unknown[] };
  const { offenders, faults } = await verified<Report>('audit-verify', auth);
  return { invariant: 'I10', title: 'The audit log is as it was written', offenders, first: faults[0] ?? null };
}

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const VERIFIED_WITHIN_MS = 120_000;

/** What the command of this name says, which operators run. It ends with 1 when something is wrong. */
async function verified<Report>(name: string, env: Env): Promise<Report> {
  const args = ['--conditions=tollgate', `scripts/${name}.ts`, '--json'];
  const options = { cwd: REPOSITORY, env: { PATH: process.env.PATH, ...env }, timeout: VERIFIED_WITHIN_MS };
  const run = await promisify(execFile)(process.execPath, args, options).catch((error: { stdout?: string }) => {
    if (!error.stdout?.startsWith('{')) throw error;
    return { stdout: error.stdout };
  });
  return JSON.parse(run.stdout) as Report;
}
