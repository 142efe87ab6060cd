// Puts saved databases back, into empty ones: `pnpm restore --from <folder of one backup>`. See docs/runbook.md.
// Ends with 0: done, 2: not done; it says what was refused.
import { parseArgs } from 'node:util';
import { checkBackup, restore } from './restore.ts';
import { PARTS, type Part, readSettings } from './settings.ts';

const USAGE = `Usage: pnpm restore --from <folder> [--only <part,part>] [--keep-api-keys] [--force] [--check]
  --from           a folder that pnpm backup has made
  --only           of ${PARTS.join(', ')}; all when absent
  --keep-api-keys  API keys stay as they were then, also those that were revoked since; without it their owners switch them on again
  --force          empties databases that are not empty: what is in them is lost
  --check          only says whether the backup is whole

The services must be stopped. Environment: as for pnpm backup, and DATABASE_URL for the role that accounting serves with.
Afterwards: pnpm ledger:verify, pnpm audit:verify, and what docs/runbook.md says under "Restore".`;

const OPTIONS = {
  from: { type: 'string' },
  only: { type: 'string' },
  'keep-api-keys': { type: 'boolean', default: false },
  force: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function partsOf(text: string | undefined): readonly Part[] {
  if (text === undefined) return PARTS;
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !PARTS.some((part) => part === name));
  if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(', ')}; there are ${PARTS.join(', ')}`);
  return PARTS.filter((part) => names.includes(part));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: OPTIONS });
  const { from, force } = values;
  if (values.help || from === undefined) {
    process.stdout.write(`${USAGE}\n`);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const settings = readSettings();
  if (values.check) {
    const { manifest } = await checkBackup(from, settings.key?.reveal());
    process.stdout.write(`ok     ${manifest.id} is whole\n`);
    return;
  }
  const parts = partsOf(values.only);
  const { manifest, ended } = await restore(settings, from, {
    parts,
    force,
    keepsApiKeys: values['keep-api-keys'],
    now: new Date(),
  });
  for (const part of parts) process.stdout.write(`ok     ${part.padEnd(11)} as of ${manifest.parts[part].takenAt}\n`);
  if (!ended) return;
  const { sessions, apiKeys } = ended;
  process.stdout.write(
    `       everybody logs in again: ${sessions} sessions ended, ${apiKeys} API keys switched off\n`,
  );
}

try {
  await main();
} catch (error) {
  process.stderr.write(`Not restored: ${String(Object(error).message ?? error)}\n`);
  process.exitCode = 2;
}
