import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { describeConfig, type VariableRow } from './describe.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One thing that is wrong, and the variable to look at. Never holds a value. */
export type ConfigFault = Readonly<{ name: string; message: string }>;

/** All faults of a configuration at once; the message has one line for each and may be printed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    const width = Math.max(...faults.map(({ name }) => name.length));
    const lines = faults.map(({ name, message }) => `  ${name.padEnd(width)}  ${message}`);
    super(
      [`The configuration has ${faults.length === 1 ? 'one fault' : `${faults.length} faults`}:`, ...lines].join('\n'),
    );
    this.faults = faults;
  }
}

export type ReadOptions = Readonly<{
  /** Reads a `NAME_FILE`; for tests. Default: the file system. */
  readFile?: (path: string) => string;
}>;

/**
 * Reads the variables of `schema` out of `env`, each from `NAME`, an alias, or the file that `NAME_FILE` names.
 * An empty variable counts as not set, because compose files pass unset ones on as empty.
 * Rules between variables (`schema.refine`) are judged in the same run as long as what they look at is sound.
 * @throws ConfigError with every fault.
 */
export function readConfig<Schema extends z.ZodObject>(
  schema: Schema,
  env: Environment,
  { readFile = readSmallFile }: ReadOptions = {},
): z.output<Schema> {
  const rows = describeConfig(schema);
  const declared = new Set(rows.flatMap(({ name, aliases }) => [name, ...aliases]));
  const readings = rows.map((row) => readVariable(row, { env, declared, readFile }));
  const values: Record<string, string | undefined> = {};
  for (const { row, value } of readings) if (value !== undefined) values[row.name] = value;

  const sourceFaults = readings.flatMap(({ row, fault }) => (fault ? [{ name: row.name, message: fault }] : []));
  const parsed = schema.safeParse(values);
  if (parsed.success && sourceFaults.length === 0) return parsed.data;

  const secrets = rows.flatMap((row) => (row.secret ? (values[row.name] ?? []) : []));
  const known = new Set(sourceFaults.map(({ name }) => name));
  const valueFaults = faultsOf(schema, rows, values).filter(({ name }) => !known.has(name));
  throw new ConfigError([...sourceFaults, ...valueFaults].map((fault) => withoutSecrets(fault, secrets)));
}

type Source = { env: Environment; declared: ReadonlySet<string>; readFile: (path: string) => string };
type Reading = { row: VariableRow; value?: string; fault?: string };

/** The raw text of one variable, whichever of its names carries it. */
function readVariable(row: VariableRow, { env, declared, readFile }: Source): Reading {
  const given: { name: string; value: string }[] = [];
  for (const name of [row.name, ...row.aliases]) {
    const plain = env[name];
    if (plain) given.push({ name, value: plain });
    const path = env[`${name}_FILE`];
    // A schema may have a variable of its own called X_FILE; then that is what it means.
    if (!path || declared.has(`${name}_FILE`)) continue;
    try {
      given.push({ name: `${name}_FILE`, value: readFile(path).replace(/\r?\n$/, '') });
    } catch (error) {
      // The path stays out: whoever mixes up the two names puts the secret itself there.
      return { row, fault: `${name}_FILE names a file that cannot be read (${codeOf(error)})` };
    }
  }
  const [first, ...others] = given;
  if (!first) return { row };
  const rival = others.find((other) => other.value !== first.value || `${first.name}_FILE` === other.name);
  if (rival) return { row, value: first.value, fault: `is given twice: ${first.name} and ${rival.name}` };
  if (first.value === '') return { row, fault: `${first.name} names an empty file` };
  return { row, value: first.value };
}

const codeOf = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unreadable';

const LARGEST_FILE_BYTES = 65_536;

function readSmallFile(path: string): string {
  const bytes = readFileSync(path);
  if (bytes.byteLength > LARGEST_FILE_BYTES) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
  return bytes.toString('utf8');
}

function faultsOf(schema: z.ZodObject, rows: readonly VariableRow[], values: Environment): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const sound: Record<string, unknown> = {};
  for (const row of rows) {
    const variable = schema.shape[row.name];
    if (!variable) continue;
    const parsed = z.safeParse(variable, values[row.name]);
    if (parsed.success) sound[row.name] = parsed.data;
    else if (values[row.name] === undefined) faults.push({ name: row.name, message: missing(row) });
    else faults.push({ name: row.name, message: parsed.error.issues.map((issue) => issue.message).join('; ') });
  }
  return [...faults, ...ruleFaults(schema, sound, new Set(faults.map(({ name }) => name)))];
}

const missing = ({ text }: VariableRow) => (text === '' ? 'is required' : `is required: ${text}`);

/** A rule looked at a variable that is itself at fault, so there is no saying whether the rule holds. */
class Undecided extends Error {}

/**
 * The rules between variables. zod skips them all when one variable is at fault; here each one is judged that does not
 * look at a faulty variable, so that one start shows everything.
 */
function ruleFaults(schema: z.ZodObject, sound: object, faulty: ReadonlySet<string>): ConfigFault[] {
  const guarded = new Proxy(sound, {
    get(target, name, receiver) {
      if (typeof name === 'string' && faulty.has(name)) throw new Undecided();
      return Reflect.get(target, name, receiver);
    },
  });
  // zod types an object's own rules as rules of `never`; they take the object itself.
  const rules = (schema._zod.def.checks ?? []) as z.core.$ZodCheck<unknown>[];
  return rules.flatMap((rule) => {
    try {
      const judged = z.any().check(rule).safeParse(guarded);
      return (judged.error?.issues ?? []).map(({ path, message }) => ({ name: String(path[0] ?? '(rule)'), message }));
    } catch (error) {
      if (error instanceof Undecided) return [];
      throw error;
    }
  });
}

const SHORTEST_MASKED = 4;

/** The last line of defence: a message written by a rule may quote what it judged. */
function withoutSecrets({ name, message }: ConfigFault, secrets: readonly string[]): ConfigFault {
  const masked = secrets
    .filter((value) => value.length >= SHORTEST_MASKED)
    .reduce((text, value) => text.replaceAll(value, '[secret]'), message);
  return { name, message: masked };
}
