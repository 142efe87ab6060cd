import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { openAccounts } from './open-accounts.ts';

/*
 * node --conditions=tollgate services/auth/src/seed.ts users.json
 * docker compose exec -T auth node dist/seed.js - <users.json
 * Opens the accounts of an installation, the first administrator among them, and prints them with their ids as JSON.
 * The file: [{ "username", "email", "password", "role" }]. Existing accounts keep their passwords.
 */

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: seed.ts <users.json>, or - for standard input');
const wanted: unknown = JSON.parse(path === '-' ? await text(process.stdin) : await readFile(path, 'utf8'));
process.stdout.write(`${JSON.stringify(await openAccounts(wanted))}\n`);
