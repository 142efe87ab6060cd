import { type OperationSpec, PERMISSIONS } from '@tollgate/contracts';
import { NAUGHTY_STRINGS } from '@tollgate/test-kit';
import fc from 'fast-check';
import { type CallerName, CALLERS } from '../stage/callers.ts';
import {
  addressTexts,
  brokenFrom,
  brokenTexts,
  CONTENT_TYPES,
  jsonBytes,
  percentEncoded,
  strangeHeaders,
} from './broken.ts';
import type { Door } from './doors.ts';
import { valuesOf, type Vocabulary } from './schema-values.ts';

export interface FuzzRequest {
  readonly door: Door;
  readonly caller: CallerName;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** What is wrong with it, when the contract alone tells that it must be refused. */
  readonly fault: string | undefined;
}

type Known = Vocabulary['known'];
interface Parts {
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly body: Uint8Array | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const NAUGHTY: fc.Arbitrary<string> = fc.constantFrom(...NAUGHTY_STRINGS);
const plainText = fc.oneof({ weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 30 }) }, NAUGHTY);

/** Requests to one operation: some as the contract wants them, most not. */
export function requestsTo(
  door: Door,
  known: Known,
  share: { valid: number; broken: number },
): fc.Arbitrary<FuzzRequest> {
  const words: Vocabulary = { components: door.components, known: knownAt(door, known), text: plainText };
  const valid = validParts(door, words);
  const parts = fc.oneof(
    { weight: share.valid, arbitrary: valid },
    { weight: share.broken, arbitrary: brokenParts(door, words, valid) },
  );
  return fc.tuple(parts, callersOf(door.operation)).map(([part, caller]) => assembled(door, caller, part));
}

/** What `id` means depends on whose it is: it is known under the noun before it. */
function knownAt({ operation }: Door, known: Known): Known {
  const noun = /([\w-]+)\/:id\b/.exec(operation.path)?.[1] ?? '';
  return { ...known, id: known[`${noun}/:id`] ?? [] };
}

/** Mostly somebody who is let in; what is behind the door matters more than the door. */
function callersOf({ permission }: OperationSpec): fc.Arbitrary<CallerName> {
  const callers = PERMISSIONS[permission];
  const anybody = fc.constantFrom(...CALLERS);
  if (callers === 'anyone') return anybody;
  const meant: readonly CallerName[] = callers === 'service' ? ['service'] : callers;
  return fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...meant) }, anybody);
}

const JSON_HEADERS = { 'content-type': 'application/json' };

function validParts(door: Door, words: Vocabulary): fc.Arbitrary<Parts> {
  const { body } = door;
  return fc.record({
    path: pathValues(door, words),
    query: queryValues(door, words),
    body: body ? valuesOf(body, words).map(jsonBytes) : fc.constant(undefined),
    headers: fc
      .tuple(fc.uuid(), fc.boolean())
      .map(([key, isSent]) => ({ ...(body && JSON_HEADERS), ...(isSent && { 'idempotency-key': key }) })),
  });
}

function pathValues({ operation, parameters }: Door, words: Vocabulary): fc.Arbitrary<string> {
  const inPath = parameters.filter((parameter) => parameter.in === 'path');
  const model = Object.fromEntries(inPath.map(({ name, schema }) => [name, valuesOf(schema, words, name)]));
  return fc
    .record(model)
    .map((values) =>
      operation.path.replaceAll(/:(\w+)/g, (_, name: string) => percentEncoded(String(values[name] ?? 'x')) || '%00'),
    );
}

function queryValues({ parameters }: Door, words: Vocabulary): fc.Arbitrary<[string, string][]> {
  const inQuery = parameters.filter((parameter) => parameter.in === 'query');
  const model = Object.fromEntries(inQuery.map(({ name, schema }) => [name, valuesOf(schema, words, name)]));
  const requiredKeys = inQuery.filter(({ required }) => required).map(({ name }) => name);
  return fc
    .record(model, { requiredKeys })
    .map((values) =>
      Object.entries(values).map(([name, value]): [string, string] => [name, percentEncoded(String(value))]),
    );
}

/** One part is broken and the others are as they should be, so that the fault reaches as deep as it can. */
function brokenParts(door: Door, words: Vocabulary, valid: fc.Arbitrary<Parts>): fc.Arbitrary<Parts> {
  const with_ = <K extends keyof Parts>(key: K, values: fc.Arbitrary<Parts[K]>): fc.Arbitrary<Parts> =>
    fc.tuple(valid, values).map(([parts, value]) => ({ ...parts, [key]: value }));
  const kinds: { weight: number; arbitrary: fc.Arbitrary<Parts> }[] = [
    {
      weight: 1,
      arbitrary: fc
        .tuple(valid, strangeHeaders)
        .map(([parts, more]) => ({ ...parts, headers: { ...parts.headers, ...more } })),
    },
    { weight: 1, arbitrary: with_('query', brokenQuery(door, words)) },
  ];
  if (door.operation.path.includes(':')) kinds.push({ weight: 2, arbitrary: with_('path', brokenPath(door)) });
  if (door.body) {
    const bodies = valuesOf(door.body, words);
    const broken = fc.oneof({ weight: 3, arbitrary: brokenFrom(bodies).map(jsonBytes) }, brokenTexts(bodies));
    kinds.push({ weight: 5, arbitrary: with_('body', broken) });
    kinds.push({ weight: 1, arbitrary: with_('body', fc.constantFrom(undefined, new Uint8Array())) });
    const types = fc.constantFrom(...CONTENT_TYPES).map((type) => (type === undefined ? {} : { 'content-type': type }));
    kinds.push({ weight: 1, arbitrary: with_('headers', types as fc.Arbitrary<Record<string, string>>) });
  } else
    kinds.push({
      weight: 1,
      arbitrary: with_('body', fc.constantFrom(jsonBytes({ x: 1 }), jsonBytes([]), new Uint8Array(100_000))),
    });
  return fc.oneof(...kinds);
}

const brokenPath = ({ operation }: Door): fc.Arbitrary<string> =>
  addressTexts.map((text) => operation.path.replaceAll(/:(\w+)/g, text));

function brokenQuery(door: Door, words: Vocabulary): fc.Arbitrary<[string, string][]> {
  const names = door.parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name);
  const name = fc.constantFrom(
    ...names,
    ...names,
    ...names,
    'no-such',
    '__proto__',
    'constructor',
    'sort',
    '$where',
    'limit',
    'cursor',
  );
  const spelled = fc
    .tuple(name, fc.constantFrom('', '', '', '[]', '[$ne]', '%00', '.x', '[__proto__]'))
    .map((two) => two.join(''));
  return fc
    .tuple(queryValues(door, words), fc.array(fc.tuple(spelled, addressTexts), { minLength: 1, maxLength: 2 }))
    .map(([given, more]) => [...given, ...more]);
}

function assembled(door: Door, caller: CallerName, { path, query, headers, body }: Parts): FuzzRequest {
  const text = query.map(([name, value]) => `${name}=${value}`).join('&');
  const wanted = door.operation.method === 'GET' && door.body === undefined ? undefined : body;
  return {
    door,
    caller,
    path: text === '' ? path : `${path}?${text}`,
    headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => isSendable(value))),
    body: body ?? wanted,
    fault: faultIn(door.operation, headers, body),
  };
}

/** Node's client refuses the others; the raw sockets of another test send them. */
const isSendable = (value: string): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(value);

/** Judged by the contract itself, without any of the services' code. */
function faultIn(
  { body: schema, rawBody, multipart }: OperationSpec,
  headers: Parts['headers'],
  body?: Uint8Array,
): string | undefined {
  if (!schema || rawBody || multipart) return undefined;
  const value = jsonIn(body);
  if (value === BROKEN) return 'the body is no JSON';
  if (body !== undefined && body.length > 0 && !('content-type' in headers)) return 'the body has no type';
  return schema.safeParse(value).success ? undefined : 'the body is not of the contract';
}

const BROKEN = Symbol('no JSON');

function jsonIn(body: Uint8Array | undefined): unknown {
  if (body === undefined || body.length === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return BROKEN;
  }
}
