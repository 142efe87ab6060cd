// Brings the databases of the services to the newest schema: `node --conditions=tollgate scripts/migrate.ts [service …]`.
// Reads the environment each service reads. One process at a time does the work; others wait for it.
import { readAccountingConfig } from '../services/accounting/src/config.ts';
import { migrate as migrateAccounting } from '../services/accounting/src/migrate.ts';
import { readAuthConfig } from '../services/auth/src/config.ts';
import { migrate as migrateAuth } from '../services/auth/src/migrate.ts';
import { migrate as migrateChatProxy } from '../services/chat-proxy/src/migrate.ts';

const MIGRATIONS: Readonly<Record<string, () => Promise<readonly string[]>>> = {
  auth: () => migrateAuth(readAuthConfig()),
  accounting: () => migrateAccounting(readAccountingConfig()),
  'chat-proxy': () => migrateChatProxy(),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(MIGRATIONS, name));
if (unknown.length > 0)
  throw new Error(`unknown: ${unknown.join(', ')}; there are ${Object.keys(MIGRATIONS).join(', ')}`);
for (const [name, migrate] of Object.entries(MIGRATIONS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const steps = await migrate();
  process.stdout.write(`${name}: ${steps.length === 0 ? 'has the newest schema' : steps.join(', ')}\n`);
}
