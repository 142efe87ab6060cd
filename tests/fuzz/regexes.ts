import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkSync } from 'recheck';
import { committed, openApiFiles } from '../../scripts/openapi.ts';

interface Found {
  readonly pattern: string;
  readonly where: string;
  readonly why: string;
}

/** A regular expression as it stands in a line of code: after something that an expression can follow. */
const LITERAL =
  /(?<=(?:[=(,:?!&|[{;]|return)\s{0,2}|^\s{0,40})\/((?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.){1,200}\])+)\/([dgimsuvy]{0,7})/g;
const COMMENT = /^\s*(?:\/\/|\/?\*)/;
/** Milliseconds for one expression; whatever takes longer to judge is not simple enough. */
const JUDGED_WITHIN = 60_000;

/** Every expression of the sources in a folder, and of what the contracts are published as (checklist 54). */
export async function expressionsIn(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const entries = await readdir(folder, { recursive: true });
  for (const path of entries.filter((entry) => entry.endsWith('.ts')).map((entry) => join(folder, entry))) {
    const lines = readFileSync(path, 'utf8').split('\n');
    for (const expression of lines.flatMap(literalsIn)) found.set(expression, path);
  }
  return found;
}

/** Patterns of fields: our own, and those that zod has for mail addresses, moments and ids. */
export function publishedPatterns(): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'pattern' && typeof inner === 'string') found.set(`/${inner}/u`, path);
      walk(inner, path);
    }
  };
  for (const path of openApiFiles().keys()) walk(JSON.parse(committed(path)), path);
  return found;
}

/** Those that somebody could keep busy with a long text. Judged by their structure: no clock decides. */
export function slowAmong(expressions: ReadonlyMap<string, string>): Found[] {
  return [...expressions].flatMap(([pattern, where]) => {
    const end = pattern.lastIndexOf('/');
    const flags = pattern.slice(end + 1).replaceAll(/[dvy]/g, '');
    const verdict = checkSync(pattern.slice(1, end), flags, { timeout: JUDGED_WITHIN });
    if (verdict.status === 'safe') return [];
    return [{ pattern, where, why: verdict.status === 'vulnerable' ? verdict.complexity.summary : verdict.error.kind }];
  });
}

const literalsIn = (line: string): string[] =>
  COMMENT.test(line)
    ? []
    : [...line.matchAll(LITERAL)].flatMap(([, source = '', flags = '']) =>
        isValid(source, flags) ? [`/${source}/${flags}`] : [],
      );

function isValid(source: string, flags: string): boolean {
  try {
    return new RegExp(source, flags) instanceof RegExp;
  } catch {
    return false;
  }
}
