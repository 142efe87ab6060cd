import { readAccountingConfig } from './config.ts';
import { migrate } from './migrate.ts';

// A job of its own before the service starts, so that only it needs the role that owns the database.
const steps = await migrate(readAccountingConfig());
process.stdout.write(`accounting: ${steps.length === 0 ? 'has the newest schema' : steps.join(', ')}\n`);
