import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

/** A file of the repository as the rules see it. `path` is relative to the root, with `/`. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Everything in the repository that people wrote. */
export interface SourceTree {
  readonly files: readonly SourceFile[];
  readonly emptyFolders: readonly string[];
}

/** A rule looks at the whole tree and answers one sentence per violation, each beginning with a path. */
export type Rule = (tree: SourceTree) => string[];

const GENERATED = new Set(['node_modules', 'dist', '.tollgate', 'coverage', '.git', 'secrets']);
const LARGEST_FILE_BYTES = 2_000_000;

/** Reads what people wrote below `root`; generated folders and files that are not text are left out. */
export function readTree(root: string): SourceTree {
  const files: SourceFile[] = [];
  const emptyFolders: string[] = [];
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = readdirSync(folder, { withFileTypes: true });
    if (entries.length === 0) emptyFolders.push(pathIn(root, folder));
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !GENERATED.has(entry.name)) folders.push(path);
      if (!entry.isFile() || entry.name === '.env' || entry.name.endsWith('.log')) continue;
      const bytes = readFileSync(path);
      if (bytes.byteLength > LARGEST_FILE_BYTES || bytes.includes(0)) continue;
      files.push({ path: pathIn(root, path), text: bytes.toString('utf8') });
    }
  }
  return { files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)), emptyFolders: emptyFolders.toSorted() };
}

const pathIn = (root: string, path: string) => relative(root, path).split(sep).join('/');

/** Lines as an editor counts them. */
export const lineCount = (text: string): number => (text === '' ? 0 : text.replace(/\n$/, '').split('\n').length);

export const folderOf = (path: string): string => dirname(path);

/** The parts of a file name: `services/auth/src/flows/log-in.ts` is layer `flows` of service `auth`. */
export function placeOf(path: string): { service: string; layer: string } | undefined {
  const [, service, layer] = /^services\/([^/]+)\/src\/([^/]+)/.exec(path) ?? [];
  return service !== undefined && layer !== undefined ? { service, layer } : undefined;
}
