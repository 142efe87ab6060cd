import { readAuthConfig } from './config.ts';
import { migrate } from './migrate.ts';

const steps = await migrate(readAuthConfig());
process.stdout.write(`auth: ${steps.length === 0 ? 'has the newest schema' : steps.join(', ')}\n`);
