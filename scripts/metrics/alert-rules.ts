import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface AlertRule {
  readonly file: string;
  readonly alert: string;
  readonly expr: string;
  readonly severity: string;
  readonly summary: string;
  readonly runbook: string;
}

const FOLDER = join('ops', 'alerts');

/** The only form in which a rule is written here, so that it can be read without a parser of YAML. */
const RULE =
  /^ {6}- alert: (?<alert>\w+)\n {8}expr: (?<expr>.+)\n {8}for: \d+[smh]\n {8}labels:\n {10}severity: (?<severity>.+)\n {8}annotations:\n {10}summary: (?<summary>.+)\n {10}runbook_url: (?<runbook>.+)$/gm;

/** Every alert of `ops/alerts`. @throws Error when a rule is not written as the others are. */
export const alertRules = (): AlertRule[] =>
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.yml'))
    .flatMap((file) => {
      const text = readFileSync(join(FOLDER, file), 'utf8');
      const rules = [...text.matchAll(RULE)].map(({ groups }) => ({ file, ...groups }) as AlertRule); // the expression names them
      const count = text.match(/\balert:/g)?.length ?? 0;
      if (rules.length !== count)
        throw new Error(`${file}: ${count - rules.length} rules are not written as the others are`);
      return rules;
    });

/** What an expression asks for: the names outside of labels, of calls and of words of the language. */
export function selectorsOf(
  expr: string,
): { readonly metric: string; readonly labels: Readonly<Record<string, string>> }[] {
  const bare = expr.replaceAll(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, ' ');
  return [...bare.matchAll(/\b(?<metric>[a-z_][a-z0-9_]*)\b(?!\s*\()(?:\{(?<labels>[^}]*)\})?/g)]
    .filter(({ index }) => !isInside(bare, index))
    .map(({ groups }) => ({
      metric: groups?.['metric'] ?? '',
      labels: Object.fromEntries(
        [...(groups?.['labels'] ?? '').matchAll(/(\w+)(?:=~|=|!=|!~)"([^"]*)"/g)].map(([, name, value]) => [
          name,
          value,
        ]),
      ),
    }))
    .filter(({ metric }) => !WORDS.has(metric));
}

const WORDS: ReadonlySet<string> = new Set(['and', 'or', 'unless', 'bool', 'offset', 's', 'm', 'h', 'e9']);

/** Between braces or quotes, or within a range such as `[5m]`. */
function isInside(text: string, at: number): boolean {
  const before = text.slice(0, at);
  const open = (sign: string): number => before.split(sign).length - 1;
  return open('{') > open('}') || open('[') > open(']') || open('"') % 2 === 1;
}
