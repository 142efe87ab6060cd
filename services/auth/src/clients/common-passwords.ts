import { readFile } from 'node:fs/promises';
import { keyOf } from '../domain/user.ts';

/** The same distance from `src/clients` and from `dist/clients`. */
const LIST = new URL('../../assets/common-passwords.txt', import.meta.url);

/** The passwords that everybody tries first, in lower case. */
export async function readCommonPasswords(): Promise<ReadonlySet<string>> {
  const lines = (await readFile(LIST, 'utf8')).split('\n');
  return new Set(lines.filter((line) => line !== '' && line !== '#' && !line.startsWith('# ')).map(keyOf));
}
