import fc from 'fast-check';

/** As much of JSON Schema as the OpenAPI documents of the contracts use. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly $ref?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly propertyNames?: JsonSchema;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface Vocabulary {
  readonly components: Readonly<Record<string, JsonSchema>>;
  /** Values that mean something on the platform under test, by the name of their field. */
  readonly known: Readonly<Record<string, readonly unknown[]>>;
  /** Text for fields that take any. */
  readonly text: fc.Arbitrary<string>;
}

const DEEPEST = 6;
const LONGEST_TEXT = 400;
const MOST_ITEMS = 3;

/** Values that a schema describes: the edges of its bounds are as likely as all that lies between. */
export function valuesOf(schema: JsonSchema, words: Vocabulary, name = '', depth = 0): fc.Arbitrary<unknown> {
  const known = words.known[name];
  const made = madeOf(schema, words, name, depth);
  return known && known.length > 0 ? fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...known) }, made) : made;
}

function madeOf(schema: JsonSchema, words: Vocabulary, name: string, depth: number): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return referred(schema.$ref, words, name, depth);
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((choice) => valuesOf(choice, words, name, depth)));
  if (schema.allOf) return valuesOf(Object.assign({}, ...schema.allOf) as JsonSchema, words, name, depth);
  const types = [schema.type ?? 'anything'].flat();
  return fc.oneof(...types.map((type) => ofType(type, schema, words, depth)));
}

function referred(ref: string, words: Vocabulary, name: string, depth: number): fc.Arbitrary<unknown> {
  const target = words.components[ref.split('/').at(-1) ?? ''];
  return target && depth < DEEPEST ? valuesOf(target, words, name, depth + 1) : fc.constant('deep enough');
}

function ofType(type: string, schema: JsonSchema, words: Vocabulary, depth: number): fc.Arbitrary<unknown> {
  switch (type) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return integers(schema);
    case 'number':
      return fc.oneof(
        integers(schema),
        fc.double({ min: schema.minimum ?? -10, max: schema.maximum ?? 10, noNaN: true }),
      );
    case 'array':
      return arrays(schema, words, depth);
    case 'object':
      return objects(schema, words, depth);
    case 'string':
      return strings(schema, words);
    default:
      return depth < DEEPEST ? fc.oneof(words.text, fc.integer(), fc.dictionary(words.text, words.text)) : words.text;
  }
}

function integers({ minimum = -(2 ** 31), maximum = 2 ** 31 - 1 }: JsonSchema): fc.Arbitrary<number> {
  const [min, max] = [Math.ceil(minimum), Math.floor(maximum)];
  const small = Math.min(max, Math.max(min, 1));
  return fc.oneof(fc.constantFrom(min, max, small), fc.integer({ min, max: Math.min(max, min + 100) }));
}

function arrays({ items = {}, minItems = 0, maxItems = MOST_ITEMS }: JsonSchema, words: Vocabulary, depth: number) {
  const maxLength = Math.max(minItems, Math.min(maxItems, depth < DEEPEST ? MOST_ITEMS : 0));
  return fc.array(valuesOf(items, words, '', depth + 1), { minLength: minItems, maxLength });
}

function objects(schema: JsonSchema, words: Vocabulary, depth: number): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema;
  const entries = Object.entries(properties).filter(([key]) => depth < DEEPEST || required.includes(key));
  const model = Object.fromEntries(entries.map(([key, value]) => [key, valuesOf(value, words, key, depth + 1)]));
  const named = fc.record(model, { requiredKeys: Object.keys(model).filter((key) => required.includes(key)) });
  if (typeof additionalProperties !== 'object') return named;
  const keys = propertyNames ? valuesOf(propertyNames, words, '', depth) : words.text;
  const others = fc.dictionary(keys as fc.Arbitrary<string>, valuesOf(additionalProperties, words, '', depth + 1), {
    maxKeys: MOST_ITEMS,
    noNullPrototype: true,
  });
  return fc.tuple(others, named).map(([other, own]) => ({ ...other, ...(own as object) }));
}

function strings(schema: JsonSchema, words: Vocabulary): fc.Arbitrary<string> {
  const { minLength = 0, maxLength = Infinity, pattern, format } = schema;
  if (format === 'uuid') return fc.uuid();
  if (format === 'date-time') return fc.constantFrom(...MOMENTS);
  if (format === 'email') return fc.emailAddress();
  if (pattern !== undefined) return matching(pattern, maxLength);
  const exact = (length: number) => fc.constant('é'.repeat(length));
  const edges = [exact(minLength), ...(maxLength <= LONGEST_TEXT ? [exact(maxLength)] : [])];
  const free = words.text.map((text) => text.padEnd(minLength, 'x').slice(0, maxLength));
  return fc.oneof({ weight: 4, arbitrary: free }, ...edges);
}

const MOMENTS = [
  '2026-01-01T00:00:00Z',
  '0001-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '2024-02-29T12:00:00.123456789Z',
  '1970-01-01T00:00:00.000Z',
];

/** fast-check draws from most patterns; of the rest, words that often fit. */
function matching(pattern: string, maxLength: number): fc.Arbitrary<string> {
  const fitting = new RegExp(pattern, 'u');
  const words = [
    'x',
    'abc',
    'a-b_c.d',
    '10',
    'A1',
    'Europe/Berlin',
    'data:text/plain;base64,eA==',
    'https://example.test',
  ];
  const fallback = fc.constantFrom(
    ...words
      .filter((word) => fitting.test(word))
      .concat('?')
      .slice(0, 4),
  );
  try {
    return fc.stringMatching(new RegExp(pattern, 'u')).map((text) => text.slice(0, Math.min(maxLength, LONGEST_TEXT)));
  } catch {
    return fallback;
  }
}
