/** Starts a database and waits to be killed: argv holds the kind, the folder and "durable" or "throwaway". */
import { startDocumentDb } from '../src/documentdb.ts';
import { startEmbeddedPostgres } from '../src/postgres.ts';

const [kind, dataDir = '', durability] = process.argv.slice(2);
const start = kind === 'documentdb' ? startDocumentDb : startEmbeddedPostgres;
const database = await start({ dataDir, durable: durability === 'durable', env: process.env });
process.stdout.write(`${JSON.stringify({ url: database.url, pids: database.pids })}\n`);
setInterval(() => undefined, 60_000);
