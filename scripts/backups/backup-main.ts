// Saves the databases of all services while they run: `pnpm backup --to <folder>`. See docs/runbook.md.
// Ends with 0: the backup is whole, 2: it could not be made, and nothing of it is left.
import { parseArgs } from 'node:util';
import { backUp } from './backup.ts';
import { readSettings } from './settings.ts';

const USAGE = `Usage: pnpm backup --to <folder>
  --to   a new folder tollgate-<time> is made in this one; its files can be read by nobody else

Environment: DATABASE_OWNER_URL, AUTH_MONGODB_URI, CHAT_PROXY_MONGODB_URI, and BACKUP_KEY to encrypt the files; each also as NAME_FILE.
Without addresses, what ./scripts/dev runs. Secrets of the services are not in a backup: keep them elsewhere.`;

const OPTIONS = { to: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } } as const;

async function main(): Promise<void> {
  const { to, help } = parseArgs({ options: OPTIONS }).values;
  if (help || to === undefined) {
    process.stdout.write(`${USAGE}\n`);
    process.exitCode = help ? 0 : 2;
    return;
  }
  const { folder, manifest } = await backUp(readSettings(), to, new Date());
  const { accounting, ...mongo } = manifest.parts;
  for (const [part, { collections }] of Object.entries(mongo)) {
    const documents = collections.reduce((sum, collection) => sum + collection.documents, 0);
    process.stdout.write(`ok     ${part.padEnd(11)} ${documents} documents in ${collections.length} collections\n`);
  }
  const { accounts, entries, credits, openHolds } = accounting.books;
  process.stdout.write(
    `ok     accounting  ${accounts} accounts with ${credits} credits, ${entries} entries, ${openHolds} open holds\n`,
  );
  if (!manifest.isEncrypted) process.stdout.write('       the files are not encrypted: BACKUP_KEY does that\n');
  process.stdout.write(`${folder}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`There is no backup: ${String(Object(error).message ?? error)}\n`);
  process.exitCode = 2;
}
