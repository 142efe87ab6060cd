import { migrate } from './migrate.ts';

const steps = await migrate();
process.stdout.write(`chat-proxy: ${steps.length === 0 ? 'has the newest schema' : steps.join(', ')}\n`);
