/** One small fault in the text of a file: what stood at `offset`, and what stands there instead. */
export interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly offset: number;
  readonly from: string;
  readonly to: string;
}

/** Operators of SQL and the fault each is given, in the manner of StrykerJS' mutators for JavaScript. */
const FAULTS: readonly (readonly [RegExp, string])[] = [
  [/(?<=\s)<=(?=\s)/g, '<'],
  [/(?<=\s)>=(?=\s)/g, '>'],
  [/(?<=\s)<(?=\s)/g, '<='],
  [/(?<=\s)>(?=\s)/g, '>='],
  [/(?<=\s)<>(?=\s)/g, '='],
  [/(?<=\s)\+(?=\s)/g, '-'],
  [/(?<=[\w)]\s)-(?=\s[\w(])/g, '+'],
  [/(?<=\s)\*(?=\s\w)/g, '+'],
  [/\bleast\(/g, 'greatest('],
  [/\bgreatest\(/g, 'least('],
  [/(?<=\s)AND(?=\s)(?!\s\d)/g, 'OR'],
  [/(?<=\s)OR(?=\s)/g, 'AND'],
  [/\bIS NOT NULL\b/g, 'IS NULL'],
  [/\bIS NULL\b/g, 'IS NOT NULL'],
  [/\bNULLS LAST\b/g, 'NULLS FIRST'],
  [/\bNULLS FIRST\b/g, 'NULLS LAST'],
  [/\bpriority, /g, ''],
  [/(?<=[,(]\s)is_paid, |(?<=[,(]\s)a\.is_paid, /g, ''],
  [/(?<=[,(]\s)effective_at, |(?<=[,(]\s)a\.effective_at, /g, ''],
  [/(?<=\s)FOR UPDATE\b/g, ''],
  [/(?<=IF )NOT FOUND/g, 'FOUND'],
  [/(?<=IF )FOUND/g, 'NOT FOUND'],
  [/(?<=[=,(\s])true(?=[,);\s])/g, 'false'],
  [/(?<=[=,(\s])false(?=[,);\s])/g, 'true'],
];

/** Every mutant of a file. Comments, declarations of types and texts in quotes stay as they are. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const code = blank(text);
  return FAULTS.flatMap(([pattern, to]) =>
    [...code.matchAll(pattern)].map((match) => ({
      file,
      line: text.slice(0, match.index).split('\n').length,
      offset: match.index,
      from: match[0],
      to,
    })),
  ).sort((one, other) => one.offset - other.offset);
}

const KEPT_AS_IT_IS = /--[^\n]*|'(?:[^']|'')*'|^CREATE TYPE [\s\S]*?;$|^CREATE FUNCTION [\s\S]*?\$\$/gm;
const blank = (text: string): string => text.replaceAll(KEPT_AS_IT_IS, (part) => part.replaceAll(/[^\n]/g, '¤'));

export const applied = ({ offset, from, to }: Mutant, text: string): string =>
  text.slice(0, offset) + to + text.slice(offset + from.length);
