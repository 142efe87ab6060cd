// Proves that docs/limits.md says what the schemas and the code say. `--write` brings it up to them; without it, exits 1 when it differs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVariables } from '../environment/variables.ts';
import { constants } from './constants.ts';
import { limitsPage, staleNames, UPDATE } from './page.ts';

const PAGE = join('docs', 'limits.md');

const variables = await readVariables();
const wanted = limitsPage(variables, constants());
const isDrifted = !existsSync(PAGE) || readFileSync(PAGE, 'utf8') !== wanted;
const isWriting = process.argv.includes('--write');
if (isWriting && isDrifted) writeFileSync(PAGE, wanted);

const faults = [
  ...staleNames(variables),
  ...(isDrifted && !isWriting ? [`${PAGE}: differs from the schemas and the code; ${UPDATE}`] : []),
];
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
