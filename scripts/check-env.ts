// Proves that the schemas in services/x/src/config.ts, .env.example, docker-compose.yml and docs/configuration.md say the same.
// `--write` brings the other three up to the schemas; without it, says what differs and exits 1.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeFaults, withPassedThrough } from './environment/compose.ts';
import { configurationPage, envExample } from './environment/documents.ts';
import { contradictions, readVariables } from './environment/variables.ts';

const COMPOSE = 'docker-compose.yml';
const textOf = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

const variables = await readVariables();
const wanted = new Map([
  ['.env.example', envExample(variables)],
  [join('docs', 'configuration.md'), configurationPage(variables)],
  [COMPOSE, withPassedThrough(variables, textOf(COMPOSE))],
]);
const drifted = [...wanted].filter(([path, text]) => textOf(path) !== text);

if (process.argv.includes('--write')) for (const [path, text] of drifted) writeFileSync(path, text);
const faults = [
  ...contradictions(variables),
  ...(process.argv.includes('--write') ? [] : drifted.map(([path]) => `${path}: differs from the schemas`)),
  ...composeFaults(variables, textOf(COMPOSE)),
];
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
