import { type OpenApi, resolved, type Schema, variantsOf } from './document.ts';

const DEEPEST = 8;
const UUID = '00000000-0000-4000-8000-000000000000';
const BY_FORMAT: Readonly<Record<string, string>> = {
  email: 'somebody@example.test',
  'date-time': '2026-01-01T00:00:00Z',
  date: '2026-01-01',
  uuid: UUID,
  uri: 'https://example.test',
  password: '{{password}}',
};

/** Something of that form to begin from, with what is required and no more. */
export function exampleOf(given: Schema, document: OpenApi, name = '', depth = 0): unknown {
  const schema = resolved(given, document);
  const fixed = [schema.const, schema.enum?.[0], schema.default].find((value) => value !== undefined);
  if (fixed !== undefined) return fixed;
  if (depth > DEEPEST) return null;
  const [variant] = variantsOf(schema);
  if (variant) return exampleOf(variant, document, name, depth + 1);
  if (schema.properties) return objectOf(schema, document, depth);
  if (schema.items) return [exampleOf(schema.items, document, name, depth + 1)];
  return plain(schema, name);
}

function plain(schema: Schema, name: string): unknown {
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object') return {};
  if (type === 'array') return [];
  if (type === 'integer' || type === 'number') return Math.max(schema.minimum ?? 1, Math.min(1, schema.maximum ?? 1));
  return type === 'boolean' ? false : textOf(schema, name);
}

function objectOf(schema: Schema, document: OpenApi, depth: number): Record<string, unknown> {
  const needed = Object.entries(schema.properties ?? {}).filter(([name]) => schema.required?.includes(name));
  return Object.fromEntries(needed.map(([name, inner]) => [name, exampleOf(inner, document, name, depth + 1)]));
}

/** A variable of the same name, to be filled in. */
function textOf({ format, pattern = '' }: Schema, name: string): string {
  if (format !== undefined && Object.hasOwn(BY_FORMAT, format)) return BY_FORMAT[format] ?? '';
  if (pattern.includes('[0-9a-f]{24')) return '0123456789abcdef01234567';
  return name === '' ? 'text' : `{{${name}}}`;
}
