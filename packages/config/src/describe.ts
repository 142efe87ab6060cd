import { z } from 'zod';

/** One variable as documents, `.env.example` and `scripts/check-env` show it. */
export type VariableRow = Readonly<{
  name: string;
  aliases: readonly string[];
  required: boolean;
  /** As written in the environment; absent when there is none, and always for a secret. */
  default?: string;
  secret: boolean;
  text: string;
  /** Of a number or a duration: what is allowed, as written in the environment. */
  range?: Readonly<{ least: string; most?: string }>;
}>;

/** The rows of a configuration schema, in its order. */
export function describeConfig(schema: z.ZodObject): VariableRow[] {
  return Object.entries(schema.shape).map(([name, variable]) => rowOf(name, variable));
}

function rowOf(name: string, variable: z.core.$ZodType): VariableRow {
  const layers = layersOf(variable);
  const meta: Record<string, unknown> = Object.assign(
    {},
    ...layers.map((layer) => z.globalRegistry.get(layer) ?? {}).toReversed(),
  );
  const secret = meta.secret === true;
  const fallback = secret ? undefined : layers.map(defaultOf).find((value) => value !== undefined);
  return {
    name,
    aliases: Array.isArray(meta.aliases) ? meta.aliases.map(String) : [],
    required: !z.safeParse(variable, undefined).success,
    ...(fallback !== undefined && { default: fallback }),
    secret,
    text: typeof meta.description === 'string' ? meta.description : '',
    ...(isRange(meta.range) && { range: meta.range }),
  };
}

const isRange = (value: unknown): value is NonNullable<VariableRow['range']> =>
  typeof value === 'object' && value !== null && 'least' in value;

type Wrapper =
  | z.core.$ZodOptional
  | z.core.$ZodDefault
  | z.core.$ZodPrefault
  | z.core.$ZodNullable
  | z.core.$ZodReadonly;

const WRAPPERS = new Set(['optional', 'default', 'prefault', 'nullable', 'readonly']);

const isWrapper = (schema: z.core.$ZodType): schema is Wrapper => WRAPPERS.has(schema._zod.def.type);

const isPipe = (schema: z.core.$ZodType): schema is z.core.$ZodPipe => schema._zod.def.type === 'pipe';

/** A schema and what it wraps, outermost first: a sentence may be given before or after `.default(…)`. */
function layersOf(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (isWrapper(schema)) return [schema, ...layersOf(schema._zod.def.innerType)];
  if (isPipe(schema)) return [schema, ...layersOf(schema._zod.def.in)];
  return [schema];
}

function defaultOf(schema: z.core.$ZodType): string | undefined {
  const { def } = schema._zod;
  if ((def.type !== 'default' && def.type !== 'prefault') || !('defaultValue' in def)) return undefined;
  const value: unknown = def.defaultValue;
  return Array.isArray(value) ? value.join(',') : String(value);
}
