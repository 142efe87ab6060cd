// Installs the development double of MongoDB into its cache folder, by starting it once: `node install-double.ts <folder>`.
import { startMongo } from '@tollgate/dev-databases';

const [dataDir = ''] = process.argv.slice(2);
const database = await startMongo({ dataDir, durable: false, env: process.env });
await database.stop();
