import { readFile } from 'node:fs/promises';
import { keyOf } from '../domain/user.ts';

/** The same distance from `src/clients` and from `dist/clients`. */
const LIST = new URL('../../assets/common-passwords.txt', import.meta.url);

/** The passwords that everybody tries first, in lower case. */
export async function readCommonPasswords(): Promise<ReadonlySet<string>> {
  // All lines at once: one by one they take a tenth of a second of every start.
  const lines = keyOf(await readFile(LIST, 'utf8')).split('\n');
  return new Set(lines.filter((line) => line !== '' && line !== '#' && !line.startsWith('# ')));
}
