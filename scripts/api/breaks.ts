import { type OpenApi, type Operation, resolved, type Schema, variantsOf } from './document.ts';

type Way = 'request' | 'answer';
interface Pair {
  readonly before: Schema;
  readonly after: Schema;
  /** Where in the document, for the sentence. */
  readonly at: string;
}
interface Documents {
  readonly before: OpenApi;
  readonly after: OpenApi;
}

/** Deeper than any schema of ours; one that points at itself ends here. */
const DEEPEST = 12;

/** What a client of the earlier document would trip over, a sentence each. Additions are no breaks: clients ignore what they do not know. */
export function breaksBetween(before: OpenApi, after: OpenApi): string[] {
  return Object.entries(before.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      const place = `${method.toUpperCase()} ${path}`;
      const now = after.paths[path]?.[method];
      if (!now) return [`${place} is gone`];
      return breaksOf(operation, now, { before, after }).map((said) => `${place}: ${said}`);
    }),
  );
}

function breaksOf(before: Operation, after: Operation, documents: Documents): string[] {
  return [
    ...(before['x-permission'] === after['x-permission']
      ? []
      : [`needs ${after['x-permission']} instead of ${before['x-permission']}`]),
    ...parameterBreaks(before, after, documents),
    ...bodyBreaks(before, after, documents),
    ...answerBreaks(before, after, documents),
  ];
}

function parameterBreaks(before: Operation, after: Operation, documents: Documents): string[] {
  const key = ({ in: where, name }: { in: string; name: string }) => `${where} ${name}`;
  const known = new Map((before.parameters ?? []).map((parameter) => [key(parameter), parameter]));
  const now = new Map((after.parameters ?? []).map((parameter) => [key(parameter), parameter]));
  const gone = [...known.keys()].filter((name) => !now.has(name)).map((name) => `parameter ${name} is gone`);
  const changed = [...now].flatMap(([name, parameter]) => {
    const earlier = known.get(name);
    if (parameter.required && !earlier?.required) return [`parameter ${name} is required now`];
    const pair = { before: earlier?.schema ?? {}, after: parameter.schema ?? {}, at: `parameter ${name}` };
    return earlier ? schemaBreaks(pair, 'request', documents) : [];
  });
  return [...gone, ...changed];
}

function bodyBreaks(before: Operation, after: Operation, documents: Documents): string[] {
  if (after.requestBody?.required && !before.requestBody?.required) return ['a body is required now'];
  return Object.entries(before.requestBody?.content ?? {}).flatMap(([type, { schema = {} }]) => {
    const now = after.requestBody?.content[type];
    if (!now) return [`a body of ${type} is not taken any more`];
    return schemaBreaks({ before: schema, after: now.schema ?? {}, at: 'body' }, 'request', documents);
  });
}

function answerBreaks(before: Operation, after: Operation, documents: Documents): string[] {
  const successes = Object.entries(before.responses).filter(([status]) => status.startsWith('2'));
  return successes.flatMap(([status, { content = {} }]) => {
    const now = after.responses[status];
    if (!now) return [`does not answer ${status} any more`];
    return Object.entries(content).flatMap(([type, { schema = {} }]) => {
      const same = now.content?.[type];
      if (!same) return [`does not answer as ${type} any more`];
      return schemaBreaks({ before: schema, after: same.schema ?? {}, at: `answer ${status}` }, 'answer', documents);
    });
  });
}

function schemaBreaks(pair: Pair, way: Way, documents: Documents, depth = 0): string[] {
  if (depth > DEEPEST) return [];
  const before = resolved(pair.before, documents.before);
  const after = resolved(pair.after, documents.after);
  const { at } = pair;
  const inner = (next: Pair) => schemaBreaks(next, way, documents, depth + 1);
  const items = before.items && after.items ? inner({ before: before.items, after: after.items, at: `${at}[]` }) : [];
  return [
    ...valueBreaks({ before, after, at }, way),
    ...fieldBreaks({ before, after, at }, way).flatMap((found) => (typeof found === 'string' ? [found] : inner(found))),
    ...items,
    ...variantBreaks({ before, after, at }, way, inner),
  ];
}

function valueBreaks(pair: Pair, way: Way): string[] {
  const { before, after, at } = pair;
  const [was, is] = [before.type, after.type].map((type) => type && String(type));
  const retyped = was && is && was !== is ? [`${at} is ${is} instead of ${was}`] : [];
  return way === 'answer' ? retyped : [...retyped, ...listBreaks(pair), ...boundBreaks(pair)];
}

function listBreaks({ before, after, at }: Pair): string[] {
  const listOf = (schema: Schema) => schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  const [known, allowed] = [listOf(before), listOf(after)];
  if (!allowed) return [];
  if (!known) return [`${at} may only be one of a list now`];
  const refused = known.filter((value) => !allowed.includes(value));
  return refused.map((value) => `${at} may not be ${JSON.stringify(value)} any more`);
}

const MOST = ['maxLength', 'maximum', 'maxItems'] as const;
const LEAST = ['minLength', 'minimum', 'minItems'] as const;

function boundBreaks({ before, after, at }: Pair): string[] {
  const smaller = MOST.filter((name) => (after[name] ?? Infinity) < (before[name] ?? Infinity));
  const larger = LEAST.filter((name) => (after[name] ?? -Infinity) > (before[name] ?? -Infinity));
  const isOther = after.pattern !== undefined && after.pattern !== before.pattern;
  return [
    ...smaller.map((name) => `${at} has a smaller ${name}`),
    ...larger.map((name) => `${at} has a larger ${name}`),
    ...(isOther ? [`${at} has another pattern`] : []),
  ];
}

/** Sentences, and the pairs of fields that both have. */
function fieldBreaks({ before, after, at }: Pair, way: Way): (string | Pair)[] {
  const known = before.properties ?? {};
  const now = after.properties ?? {};
  // A request with a field that nobody knows is refused, unless the schema is open.
  const isOpen = way === 'request' && after.additionalProperties !== false;
  const gone = Object.keys(known).filter((name) => !Object.hasOwn(now, name) && !isOpen);
  const required = (schema: Schema) => new Set(schema.required);
  const isRequired = (name: string, schema: Schema) => required(schema).has(name);
  const unsure =
    way === 'request'
      ? (after.required ?? [])
          .filter((name) => !isRequired(name, before))
          .map((name) => `${at}.${name} is required now`)
      : (before.required ?? [])
          .filter((name) => Object.hasOwn(now, name) && !isRequired(name, after))
          .map((name) => `${at}.${name} may be absent now`);
  const pairs = Object.entries(known).flatMap(([name, schema]) => {
    const same = now[name];
    return same ? [{ before: schema, after: same, at: `${at}.${name}` }] : [];
  });
  return [...gone.map((name) => `${at}.${name} is gone`), ...unsure, ...pairs];
}

function variantBreaks({ before, after, at }: Pair, way: Way, inner: (pair: Pair) => string[]): string[] {
  const known = variantsOf(before);
  const now = variantsOf(after);
  const fewer = way === 'request' && known.length > Math.max(now.length, 1);
  const pairs = known.flatMap((schema, index) => {
    const same = now[index];
    return same ? [{ before: schema, after: same, at: `${at}|${index + 1}` }] : [];
  });
  return [...(fewer ? [`${at} has fewer forms`] : []), ...pairs.flatMap(inner)];
}
