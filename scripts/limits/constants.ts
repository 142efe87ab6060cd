import { globSync, readFileSync } from 'node:fs';

/** A bound that is no configuration: a named number in the code. */
export interface Constant {
  readonly file: string;
  readonly name: string;
  readonly value: string;
  /** The comment that stands before it. */
  readonly text: string;
}

const SOURCES = [
  'services/*/src/**/*.ts',
  'packages/{config,contracts,http-kit,jwt-claims,mail,mongo-kit,telemetry}/src/**/*.ts',
];
/** Names that say "so much and no more". */
const BOUND =
  /(^|_)(MOST|MAX|LONGEST|LARGEST|LIMITS?|TIMEOUTS?|CAPACITY|POOL|CONNECTIONS|BATCH|BATCHES|PAGE|AT_ONCE|QUEUE|WAITING|RETRY|RETRIES|TRIES|ATTEMPTS|KEPT|PATIENCE|WAIT|SILENCE|STALL|OVERLAP|LIFE|STALE|REFRESH|PER_SOCKET|PER_TURN)(_|$)|_(MS|SECONDS|BYTES)$/;
/** Names that only say how long a second is, or how a format looks. */
const NO_BOUND =
  /^(MS|SECONDS|BYTES)_PER_|^MILLISECONDS$|^(A_)?(DAY|HOUR|MINUTE|WEEK)(_MS|_SECONDS)$|_PER_(SECOND|MINUTE|HOUR|DAY)$|^(KEY|TAG|NONCE|SEED|SECRET|RANDOM_ID|CHALLENGE|VOUCHER_CODE|ID|SALT|HASH|SIGNATURE|FILE|LENGTH)_BYTES$|SHORTEST|LEAST|MINIMUM|_LENGTH$/;

const NUMBER = String.raw`[\d_]+(?:\.\d+)?`;
const NUMERIC = new RegExp(String.raw`^${NUMBER}(?:\s*[*+/-]\s*${NUMBER}|\s*\*\*\s*${NUMBER})*$`);
const DECLARED = /^(?:export )?const ([A-Z][A-Z0-9_]*)(?:: [^=]+)? = (.+)$/;
const FIELD = new RegExp(String.raw`(\w+): (${NUMBER}(?:\s*\*\s*${NUMBER})*)\b`, 'g');

/** Every named bound in the code of the services and their packages, in the order of the files. */
export const constants = (): Constant[] =>
  globSync(SOURCES)
    .sort()
    .flatMap((file) => constantsIn(file, readFileSync(file, 'utf8').split('\n')));

function constantsIn(file: string, lines: readonly string[]): Constant[] {
  return lines.flatMap((line, at) => {
    const [, name = '', begun = ''] = DECLARED.exec(line) ?? [];
    if (!BOUND.test(name) || NO_BOUND.test(name)) return [];
    const text = commentBefore(lines, at);
    const plain = begun.replace(/;.*$/, '');
    if (NUMERIC.test(plain)) return [{ file, name, value: plain, text }];
    if (!begun.startsWith('{')) return [];
    const whole = begun.includes('}')
      ? begun
      : lines.slice(at, at + 1 + lines.slice(at).findIndex((each) => each.startsWith('}'))).join(' ');
    const fields = [...whole.replaceAll(/\/\*.*?\*\//g, '').matchAll(FIELD)].map(
      ([, field, value]) => `${field} ${value}`,
    );
    return fields.length > 0 ? [{ file, name, value: fields.join(', '), text }] : [];
  });
}

/** The comment right above a line, as one line. */
function commentBefore(lines: readonly string[], at: number): string {
  const above: string[] = [];
  for (let n = at - 1; n >= 0 && /^\s*(\/\*\*|\*|\/\/)/.test(lines[n] ?? ''); n -= 1) {
    above.unshift((lines[n] ?? '').replace(/^\s*(\/\*\*|\*\/|\*|\/\/)\s?/, '').replace(/\s*\*\/$/, ''));
  }
  return above.join(' ').trim();
}
