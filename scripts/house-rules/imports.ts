import { posix } from 'node:path';
import type { SourceFile } from './source-tree.ts';

export interface Import {
  readonly from: string;
  /** Erased by Node: it names types only. */
  readonly isType: boolean;
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?'([^'\n]+)'/gm;
const CALL = /(?:\bimport\(|\bnew URL\()\s*'([^'\n]+)'/g;

/** What a file imports, workers and dynamic imports included. The formatter guarantees quotes and line starts. */
export function importsOf({ text }: SourceFile): Import[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '');
  return [
    ...[...code.matchAll(STATEMENT)].map(([, type, from = '']) => ({ from, isType: type !== undefined })),
    ...[...code.matchAll(CALL)].map(([, from = '']) => ({ from, isType: false })),
  ];
}

/** The path of a relative import, seen from the root of the repository. */
const resolveImport = (importer: string, from: string): string | undefined =>
  from.startsWith('.') ? posix.normalize(posix.join(posix.dirname(importer), from)) : undefined;

/** Every file that `entries` need when the program runs, themselves included. */
export function reachableFrom(entries: readonly string[], files: readonly SourceFile[]): Set<string> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const waiting = entries.filter((entry) => byPath.has(entry));
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const file = byPath.get(path);
    if (!file || reached.has(path)) continue;
    reached.add(path);
    for (const { from, isType } of importsOf(file)) {
      const target = resolveImport(path, from);
      if (target !== undefined && !isType) waiting.push(target);
    }
  }
  return reached;
}
