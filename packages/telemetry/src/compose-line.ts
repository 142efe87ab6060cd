import type { Fields, LoggerOptions, LogLevel } from './log-options.ts';
import { Redaction } from './redact.ts';
import { ruleOf } from './key-rules.ts';
import { maskText } from './redaction-rules.ts';

const LONGEST_MESSAGE = 1000;
const MOST_FIELDS = 100;
const MS_PER_SECOND = 1000;

/** Names that a line has by itself. */
const OWN: ReadonlySet<string> = new Set(['time', 'level', 'service', 'message']);
const NONE: readonly string[] = [];

/** Makes the lines of a log: what the line says of itself, then the ids of the request, then its fields, all redacted. */
export function createComposer({ service, context, showPrompts = false, clock = Date }: LoggerOptions) {
  const whose = JSON.stringify(service);
  const timeOf = createTimeOf();

  return function compose(level: LogLevel, message: string, fields: Fields): string {
    const time = timeOf(clock.now());
    const told = JSON.stringify(maskText(message.slice(0, LONGEST_MESSAGE)));
    const ids = context?.();
    const [idsText, said] = ids ? fieldsOf(ids, NONE, showPrompts) : ['', NONE];
    const [text] = fieldsOf(fields, said, showPrompts);
    return printable(`{"time":"${time}","level":"${level}","service":${whose},"message":${told}${idsText}${text}}`);
  };
}

/** Times as ISO 8601 has them; of one second only the milliseconds are written anew. */
function createTimeOf(): (ms: number) => string {
  let second = Number.NaN;
  let text = '';
  return (ms) => {
    const now = Math.floor(ms / MS_PER_SECOND);
    if (now !== second) {
      second = now;
      text = new Date(now * MS_PER_SECOND).toISOString().slice(0, -'000Z'.length);
    }
    return `${text}${String(Math.floor(ms) - now * MS_PER_SECOND).padStart(3, '0')}Z`;
  };
}

/**
 * A part of a line, and the names in it. Written at once, without an object in between.
 * What a line says about itself and its request (`said`) is never replaced by a field of the same name.
 */
function fieldsOf(fields: Fields, said: readonly string[], showPrompts: boolean): [string, readonly string[]] {
  const redaction = new Redaction(showPrompts, fields);
  const names = Object.keys(fields);
  const taken: string[] = [];
  let text = '';
  for (const name of names.length > MOST_FIELDS ? names.slice(0, MOST_FIELDS) : names) {
    const rule = ruleOf(name);
    const value = redaction.visitBy(fields[name], name, rule);
    if (value === undefined) continue;
    const isTaken = OWN.has(rule.shown) || said.includes(rule.shown);
    text += `,${isTaken ? JSON.stringify(`${rule.shown}_`) : rule.json}:${JSON.stringify(value)}`;
    taken.push(isTaken ? `${rule.shown}_` : rule.shown);
  }
  if (names.length > MOST_FIELDS) text += ',"…":"[more]"';
  return [text, taken];
}

/**
 * JSON escapes line ends and ESC but lets DEL, the C1 controls (one of them starts a terminal sequence), the Unicode line
 * ends and the marks that reverse text pass; escaped, they mean the same to a JSON parser and nothing to a terminal.
 */
function printable(line: string): string {
  if (!UNPRINTABLE.test(line)) return line;
  return line.replace(
    new RegExp(UNPRINTABLE, 'g'),
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
const UNPRINTABLE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
