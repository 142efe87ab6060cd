// A collection for Bruno from the OpenAPI documents. `--write` updates bruno/; without it, says what differs and exits 1.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brunoFiles } from './bruno-files.ts';
import type { OpenApi } from './document.ts';
import { openApiFiles } from '../openapi.ts';

const FOLDER = 'bruno';

/** Every file of the collection as it must be, by path below bruno/. */
export function collection(): Map<string, string> {
  const documents = [...openApiFiles()].map(([path, text]): [string, OpenApi] => [
    path.replace(/^.*[\\/]/, '').replace('.json', ''),
    JSON.parse(text) as OpenApi,
  ]);
  return brunoFiles(documents);
}

/** Paths whose contents differ, are missing, or should not be there. */
export function drifted(wanted: ReadonlyMap<string, string>): string[] {
  const there = new Map(filesIn(FOLDER).map((path) => [path, readFileSync(join(FOLDER, path), 'utf8')]));
  return [...new Set([...wanted.keys(), ...there.keys()])].filter((path) => wanted.get(path) !== there.get(path));
}

function filesIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(folder.length + 1)
          .replaceAll('\\', '/'),
      );
  } catch {
    return [];
  }
}

if (import.meta.main) {
  const wanted = collection();
  const differing = drifted(wanted);
  if (process.argv.includes('--write')) {
    rmSync(FOLDER, { recursive: true, force: true });
    for (const [path, text] of wanted) {
      mkdirSync(dirname(join(FOLDER, path)), { recursive: true });
      writeFileSync(join(FOLDER, path), text);
    }
    process.stdout.write(`${differing.length} of ${wanted.size} files changed\n`);
  } else {
    for (const path of differing) process.stdout.write(`bruno/${path}: differs from the OpenAPI documents\n`);
    process.exitCode = differing.length === 0 ? 0 : 1;
  }
}
