import type { Fields, LoggerOptions, LogLevel } from './log-options.ts';
import { redact, Redaction } from './redact.ts';
import { ruleOf } from './key-rules.ts';

const LONGEST_MESSAGE = 1000;
const MOST_FIELDS = 100;

/** Names that a line has by itself. */
const OWN: ReadonlySet<string> = new Set(['time', 'level', 'service', 'message']);

/** Makes the lines of a log: what the line says of itself, then the ids of the request, then its fields, all redacted. */
export function createComposer({ service, context, showPrompts = false, clock = Date }: LoggerOptions) {
  const options = { showPrompts };
  const whose = JSON.stringify(service);

  return function compose(level: LogLevel, message: string, fields: Fields): string {
    const time = new Date(clock.now()).toISOString();
    const told = JSON.stringify(redact(message.slice(0, LONGEST_MESSAGE), options));
    const ids = context?.();
    const [idsText, said] = ids ? fieldsOf(ids, OWN, showPrompts) : ['', OWN];
    const [text] = fieldsOf(fields, said, showPrompts);
    return printable(`{"time":"${time}","level":"${level}","service":${whose},"message":${told}${idsText}${text}}`);
  };
}

/**
 * A part of a line, and the names that are taken after it. Written at once, without an object in between.
 * What a line says about itself and its request is never replaced by a field of the same name.
 */
function fieldsOf(fields: Fields, said: ReadonlySet<string>, showPrompts: boolean): [string, ReadonlySet<string>] {
  const redaction = new Redaction(showPrompts, fields);
  const names = Object.keys(fields);
  const taken = new Set(said);
  let text = '';
  for (const name of names.length > MOST_FIELDS ? names.slice(0, MOST_FIELDS) : names) {
    const rule = ruleOf(name);
    const value = redaction.visitBy(fields[name], name, rule);
    if (value === undefined) continue;
    const isTaken = said.has(rule.shown);
    text += `,${isTaken ? JSON.stringify(`${rule.shown}_`) : rule.json}:${JSON.stringify(value)}`;
    taken.add(isTaken ? `${rule.shown}_` : rule.shown);
  }
  if (names.length > MOST_FIELDS) text += ',"…":"[more]"';
  return [text, taken];
}

/**
 * JSON escapes line ends and ESC but lets DEL, the C1 controls (one of them starts a terminal sequence), the Unicode line
 * ends and the marks that reverse text pass; escaped, they mean the same to a JSON parser and nothing to a terminal.
 */
function printable(line: string): string {
  return line.replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
