import { JSON_TEXTS, NAUGHTY_STRINGS } from '@tollgate/test-kit';
import fc from 'fast-check';

/** Values that stand where something else was meant (checklist 46, 75). */
const STRANGERS: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  -1,
  1,
  10.5,
  2 ** 31,
  2 ** 53,
  Number.MAX_VALUE,
  '',
  '10',
  '0',
  [],
  [[]],
  [null],
  ['x'],
  [5],
  {},
  { x: 1 },
  { $ne: null },
  { $gt: '' },
  { $regex: '.*' },
  { $where: '1' },
  { $in: ['x'] },
  [{ $ne: null }],
  { toString: 1 },
  { length: 1e9 },
  'x'.repeat(70_000),
  Array.from({ length: 2000 }, () => 0),
  { 'a.b': 1, $set: { role: 'admin' } },
];

/** Fields that no client may set (checklist 24, 39). */
const INTRUDERS = [
  '_id',
  'id',
  '__v',
  'isVerified',
  'credits',
  'tenantId',
  'balance',
  'createdAt',
  '$set',
  '$where',
  'constructor',
  'toString',
  'hasOwnProperty',
  'password',
  'ownerId',
  'a.b',
  '',
  '\0',
  'é',
  'x'.repeat(300),
];

type Container = Record<string, unknown>;
const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null;

/** Every place inside a value: its container and the name in it. */
function placesIn(value: unknown, most = 200): { container: Container; key: string }[] {
  const found: { container: Container; key: string }[] = [];
  const waiting: unknown[] = [value];
  while (waiting.length > 0 && found.length < most) {
    const container = waiting.shift();
    if (!isContainer(container)) continue;
    for (const key of Object.keys(container)) {
      found.push({ container, key });
      waiting.push(container[key]);
    }
  }
  return found;
}

type Change = (place: { container: Container; key: string }) => void;

const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.constantFrom(...STRANGERS).map(
    (stranger): Change =>
      ({ container, key }) =>
        void (container[key] = stranger),
  ),
  fc.constantFrom(...NAUGHTY_STRINGS).map(
    (text): Change =>
      ({ container, key }) =>
        void (container[key] = text),
  ),
  fc.constant<Change>(({ container, key }) => void delete container[key]),
  fc.constant<Change>(({ container, key }) => void (container[key] = [container[key]])),
  fc.tuple(fc.constantFrom(...INTRUDERS), fc.constantFrom(...STRANGERS)).map(
    ([name, value]): Change =>
      ({ container }) => {
        container[name] = value;
      },
  ),
);

/** A value with something changed somewhere inside of it, or something else altogether. */
export const brokenFrom = (values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.tuple(values, fc.nat(), changes).map(([value, at, change]) => changed(value, at, change)),
    },
    { weight: 1, arbitrary: fc.constantFrom(...STRANGERS) },
  );

function changed(value: unknown, at: number, change: Change): unknown {
  const copy: unknown = structuredClone(value);
  const places = placesIn(copy);
  const place = places[at % Math.max(1, places.length)];
  if (place) change(place);
  else if (isContainer(copy)) change({ container: copy, key: 'x' });
  return copy;
}

/** Bytes of a body with whatever JSON.stringify would not write (checklist 50, 52). */
export const brokenTexts = (values: fc.Arbitrary<unknown>): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...JSON_TEXTS).map(({ bytes }) => bytes) },
    fc.tuple(values, fc.nat()).map(([value, at]) => cut(jsonBytes(value), at)),
    fc.tuple(values, fc.nat(), fc.nat(255)).map(([value, at, byte]) => replaced(jsonBytes(value), at, byte)),
    fc.tuple(values, fc.constantFrom(...POISONS)).map(([value, poison]) => prefixed(value, poison)),
    fc.tuple(values, fc.constantFrom(...NUMBERS)).map(([value, number]) => withNumber(value, number)),
  );

const POISONS = [
  '"__proto__":{"isAdmin":true},',
  '"constructor":{"prototype":{"x":1}},',
  '"toString":1,',
  '"a":1,"a":2,',
  '"\\ud800":1,',
  '"\\u0000":1,',
];
/** Spellings that JavaScript would not write. */
const NUMBERS = [
  '1e309',
  '-1e309',
  '1e3',
  '1.0',
  '-0',
  '0.0',
  '1E0',
  '9007199254740993',
  '1e-400',
  '100000000000000000000000',
];

export const jsonBytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value) ?? '');
const cut = (bytes: Uint8Array, at: number): Uint8Array => bytes.subarray(0, at % Math.max(1, bytes.length));
const replaced = (bytes: Uint8Array, at: number, byte: number): Uint8Array =>
  bytes.length === 0 ? Uint8Array.of(byte) : bytes.with(at % bytes.length, byte);

function prefixed(value: unknown, poison: string): Uint8Array {
  const text = JSON.stringify(value) ?? '';
  return new TextEncoder().encode(
    text.startsWith('{') && text !== '{}' ? `{${poison}${text.slice(1)}` : `{${poison}"z":0}`,
  );
}

/** The first number of a body in another spelling. */
const withNumber = (value: unknown, number: string): Uint8Array =>
  new TextEncoder().encode((JSON.stringify(value) ?? '').replace(/([:[,])-?\d[\d.e+]*(?=[,\]}])/, `$1${number}`));

/** Text for a place in an address. */
export const addressTexts: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...NAUGHTY_STRINGS.filter((text) => text.length < 1000)).map(percentEncoded),
  fc.constantFrom(
    '..',
    '.',
    '%2e%2e',
    '%00',
    '%ff',
    '%',
    '%zz',
    '%c0%af',
    'a%2Fb',
    ';x=1',
    '0',
    '-1',
    '1e3',
    'null',
    'x'.repeat(2000),
  ),
);

/** Every byte but the plainest as %XX; a half of a surrogate pair becomes the three bytes that it would be. */
export function percentEncoded(text: string): string {
  const encode = (character: string): string => {
    const code = character.codePointAt(0) ?? 0;
    const isHalf = code >= 0xd800 && code <= 0xdfff;
    const bytes = isHalf
      ? [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)]
      : new TextEncoder().encode(character);
    return Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  };
  return Array.from(text, (character) => (/^[\w-]$/.test(character) ? character : encode(character))).join('');
}

/** Types that pretend to be JSON, or do not (checklist 51). */
export const CONTENT_TYPES: readonly (string | undefined)[] = [
  undefined,
  'text/plain',
  'application/json garbage',
  'application/jsonx',
  'application/json\ta',
  'APPLICATION/JSON;charset=utf-7',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json, text/plain',
  'application/json;charset=utf-8',
  'application/vnd.api+json',
  'application/json;',
  '',
  'text/json',
  'application/merge-patch+json',
  'multipart/form-data',
];

/** Headers that mean something to us, with what should not stand in them. */
export const strangeHeaders: fc.Arbitrary<Record<string, string>> = fc.oneof(
  fc.constantFrom('', ' ', 'x'.repeat(256), 'é', '{"$ne":null}', "' OR 1=1").map((key) => ({ 'idempotency-key': key })),
  fc.constantFrom('x', '..', 'x'.repeat(65), '{"$ne":null}', '').map((id) => ({ 'x-workspace-id': id })),
  fc.constantFrom('x'.repeat(300), 'é', '', "';--").map((id) => ({ 'x-request-id': id })),
  fc
    .constantFrom('', 'Bearer', 'Bearer ', 'Bearer a.b.c', 'Basic YTpi', `Bearer ${'x'.repeat(9000)}`)
    .map((authorization) => ({ authorization })),
  fc.constantFrom('tg_x', '', 'é', 'x'.repeat(9000)).map((key) => ({ 'x-api-key': key })),
  fc.constantFrom('x', '', 'Bearer x', '000000000000000000000000').map((user) => ({ 'x-on-behalf-of': user })),
  fc
    .constantFrom('text/html', '*/*;q=0', 'x', '', 'text/event-stream', 'application/x-ndjson', ',,,;q=9')
    .map((accept) => ({ accept })),
  fc.constantFrom('gzip', 'identity', 'x', '').map((coding) => ({ 'content-encoding': coding })),
  fc.constantFrom('bytes=0-', 'bytes=-1', 'bytes=9-1', 'x', 'bytes=0-0,2-3').map((range) => ({ range })),
  fc.constantFrom('*', '"x"', 'W/"x"', 'x').map((tag) => ({ 'if-none-match': tag })),
  fc.constantFrom('0', '-1', 'x', '1e9', '').map((id) => ({ 'last-event-id': id })),
  fc.constantFrom('a=b', ';;;', '__Host-x="', 'x'.repeat(3000), '%zz=%zz').map((cookie) => ({ cookie })),
  fc.constantFrom('null', 'http://evil.test', 'x', '').map((origin) => ({ origin })),
);
