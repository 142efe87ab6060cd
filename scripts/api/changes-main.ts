// What would break a client that is written against the documents of another commit:
// `node --conditions=tollgate scripts/api/changes-main.ts [--against origin/main]`. Exits 1 when something would.
// A break that is meant stands in docs/openapi/accepted-breaks.txt, word for word, until the next release.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { breaksBetween } from './breaks.ts';
import type { OpenApi } from './document.ts';

const FOLDER = 'docs/openapi';
const ACCEPTED = join(FOLDER, 'accepted-breaks.txt');

const { values } = parseArgs({ options: { against: { type: 'string', default: 'main' } } });

/** Nothing when there was no such document then. */
function documentAt(commit: string, path: string): OpenApi | undefined {
  try {
    const text = execFileSync('git', ['show', `${commit}:${path}`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 64 * 1024 * 1024,
    });
    return JSON.parse(text) as OpenApi;
  } catch {
    return undefined;
  }
}

const accepted = new Set(readFileSync(ACCEPTED, 'utf8').split('\n'));
// Where this branch left the other: what was added there since then has not been taken away here. Fails without such a commit,
// which must not look like one without documents.
const base = execFileSync('git', ['merge-base', values.against, 'HEAD'], { encoding: 'utf8' }).trim();
const breaks = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .flatMap((name) => {
    const before = documentAt(base, `${FOLDER}/${name}`);
    const after = JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as OpenApi;
    return before ? breaksBetween(before, after).map((said) => `${name.replace('.json', '')} ${said}`) : [];
  })
  .filter((said) => !accepted.has(said));
for (const said of breaks) process.stdout.write(`${said}\n`);
process.stdout.write(`${breaks.length} breaking changes against ${values.against}\n`);
process.exitCode = breaks.length === 0 ? 0 : 1;
