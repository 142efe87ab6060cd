import fc from 'fast-check';

/** A request as lines, before and after something has happened to it. */
interface Wire {
  readonly line: string;
  readonly headers: readonly string[];
  readonly body: string;
}

export interface Asked {
  readonly path: string;
  readonly token: string;
  readonly requestId: string;
}

const JSON_BODY = '{"x":1}';

const asked = ({ path, token, requestId }: Asked): Wire => ({
  line: `GET ${path} HTTP/1.1`,
  headers: ['Host: x', `Authorization: Bearer ${token}`, `X-Request-Id: ${requestId}`],
  body: '',
});
const posted = (of: Asked): Wire => ({
  ...asked(of),
  line: `POST ${of.path} HTTP/1.1`,
  headers: [...asked(of).headers, 'Content-Type: application/json', `Content-Length: ${JSON_BODY.length}`],
  body: JSON_BODY,
});
const chunked = (of: Asked): Wire => ({
  ...posted(of),
  headers: [...asked(of).headers, 'Content-Type: application/json', 'Transfer-Encoding: chunked'],
  body: `3\r\n{"x\r\n4;a=b\r\n":1}\r\n0\r\n\r\n`,
});

const textOf = ({ line, headers, body }: Wire): string => `${line}\r\n${headers.join('\r\n')}\r\n\r\n${body}`;
/** A request that is what it seems, and the last of its connection. */
export const innocent = (of: Asked): string =>
  textOf({ ...asked(of), headers: [...asked(of).headers, 'Connection: close'] });

type Mutation = (wire: Wire) => Wire;

const lines: fc.Arbitrary<Mutation> = fc
  .constantFrom<((line: string) => string)[]>(
    (line) => line.replace(' ', '  '),
    (line) => line.replace(' ', '\t'),
    (line) => ` ${line}`,
    (line) => `\r\n\r\n${line}`,
    (line) => line.toLowerCase(),
    (line) => line.replace('HTTP/1.1', 'HTTP/1.0'),
    (line) => line.replace('HTTP/1.1', 'HTTP/1.2'),
    (line) => line.replace('HTTP/1.1', 'HTTP/9.9'),
    (line) => line.replace(' HTTP/1.1', ''),
    (line) => line.replace('HTTP', 'HTTPS'),
    (line) => line.replace(' /', ' http://evil.test/'),
    (line) => line.replace(/ \S+/, ' *'),
    (line) => line.replace(/ \S+/, ' evil.test:443'),
    (line) => line.replace(' /', ' //'),
    (line) => line.replace(' /', ' /%2e%2e/'),
    (line) => line.replace(' /', ' /\0'),
    (line) => line.replace(' /', ' /é'),
    (line) => line.replace(/^\w+/, 'HEAD'),
    (line) => line.replace(/^\w+/, 'CONNECT'),
    (line) => line.replace(/^\w+/, 'G\u0000T'),
    (line) => line.replace(/^\w+/, 'X'.repeat(3000)),
    (line) => line.replace(' HTTP', `?${'a'.repeat(20_000)} HTTP`),
    (line) => line.replace(' HTTP', '#x HTTP'),
    (line) => `${line} HTTP/1.1`,
    (line) => `${line}\n`,
    (line) => `${line}\r`,
    () => '',
    () => '\0\0\0',
    () => '\x16\x03\x01\x02\x00\x01',
  )
  .map(
    (change): Mutation =>
      (wire) => ({ ...wire, line: change(wire.line) }),
  );

const EXTRA_HEADERS = [
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Content-Length: 0x5',
  'Content-Length: ',
  'Content-Length: -1',
  'content-length : 5',
  'Content-Length: 99999999999999999999',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: gzip',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding:\r\n chunked',
  'Transfer_Encoding: chunked',
  ' X: folded',
  '\tX: folded',
  'X',
  ': x',
  'X Y: z',
  'X\0: y',
  'X: \0',
  'X: a\rb',
  'X: a\nb',
  'X:',
  'X: é',
  `X: ${'x'.repeat(20_000)}`,
  'Host: y',
  'Host:',
  'Connection: close',
  'Connection: keep-alive, upgrade',
  'Connection: Authorization',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'HTTP2-Settings: AAMAAABkAAQAAP__',
  'Expect: 100-continue',
  'Expect: x',
  'Trailer: Authorization',
  'TE: trailers',
  'Keep-Alive: timeout=0',
  'Authorization: Bearer x',
  'X-Request-Id: other',
  'Content-Encoding: gzip',
  'Range: bytes=0-',
  'Sec-WebSocket-Key: x',
  'Cookie: a\x01b',
  'Forwarded: for="[::1]"',
  'X-Forwarded-For: 1.1.1.1',
  'Max-Forwards: 0',
  'X-HTTP-Method-Override: DELETE',
];

const headers: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(fc.constantFrom(...EXTRA_HEADERS), fc.nat()).map(
    ([extra, at]): Mutation =>
      (wire) => ({
        ...wire,
        headers: wire.headers.toSpliced(at % (wire.headers.length + 1), 0, extra),
      }),
  ),
  fc.nat().map(
    (at): Mutation =>
      (wire) => ({ ...wire, headers: wire.headers.toSpliced(at % wire.headers.length, 1) }),
  ),
  fc.nat().map(
    (at): Mutation =>
      (wire) => ({ ...wire, headers: [...wire.headers, wire.headers[at % wire.headers.length] ?? ''] }),
  ),
  fc.constant<Mutation>((wire) => ({
    ...wire,
    headers: [...wire.headers, ...Array.from({ length: 2500 }, (_, at) => `X-${at}: y`)],
  })),
);

const bodies: fc.Arbitrary<Mutation> = fc
  .constantFrom(
    '',
    '{',
    '0\r\n\r\n',
    '0\r\n',
    '7\r\n{"x":1}\r\n0\r\n\r\n',
    '7\r\n{"x":1}0\r\n\r\n',
    '8\r\n{"x":1}\r\n0\r\n\r\n',
    '-7\r\n{"x":1}\r\n0\r\n\r\n',
    '0x7\r\n{"x":1}\r\n0\r\n\r\n',
    '7 \r\n{"x":1}\r\n0\r\n\r\n',
    ' 7\r\n{"x":1}\r\n0\r\n\r\n',
    '7\n{"x":1}\n0\n\n',
    '7\r{"x":1}\r0\r\r',
    'FFFFFFFFFFFFFFFF0\r\n{',
    '7;\0\r\n{"x":1}\r\n0\r\n\r\n',
    `7;${'a'.repeat(20_000)}\r\n{"x":1}\r\n0\r\n\r\n`,
    '7\r\n{"x":1}\r\n0\r\nAuthorization: x\r\n\r\n',
    '7\r\n{"x":1}\r\n0\r\nX\0: y\r\n\r\n',
    '00000000000000000007\r\n{"x":1}\r\n0\r\n\r\n',
    `7\r\n{"x":1}\r\n0\r\n${'X: y\r\n'.repeat(5000)}\r\n`,
    `${'x'.repeat(200_000)}`,
  )
  .map(
    (body): Mutation =>
      (wire) => ({ ...wire, body }),
  );

/** One or two things go wrong with a request, and another one follows; some come in pieces. */
export function brokenWires(of: Asked, next: Asked): fc.Arbitrary<Uint8Array[]> {
  const wires = fc.constantFrom(asked(of), posted(of), chunked(of), chunked(of));
  const mutations = fc.array(fc.oneof(lines, headers, headers, bodies), { minLength: 1, maxLength: 2 });
  const bytes = fc.oneof(
    {
      weight: 9,
      arbitrary: fc
        .tuple(wires, mutations)
        .map(([wire, all]) => textOf(all.reduce((now, mutate) => mutate(now), wire))),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(wires, fc.nat(), fc.nat(255)).map(([wire, at, byte]) => oneByte(textOf(wire), at, byte)),
    },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ maxLength: 300 }).map((garbage) => Buffer.from(garbage).toString('latin1')),
    },
  );
  return fc
    .tuple(bytes, fc.boolean(), fc.array(fc.nat(), { maxLength: 4 }))
    .map(([text, isPipelined, cuts]) =>
      sliced(Buffer.from(text + (isPipelined ? innocent(next) : ''), 'latin1'), cuts),
    );
}

const oneByte = (text: string, at: number, byte: number): string => {
  const place = at % text.length;
  return text.slice(0, place) + String.fromCharCode(byte) + text.slice(place + 1);
};

function sliced(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, at) => bytes.subarray(places[at] ?? 0, end));
}

const CHUNKED = 'Transfer-Encoding: chunked';
/** Two ways to say where a body ends, so that a proxy before us may hold the other one (RFC 9112, section 6.3). */
const DISPUTES: readonly (readonly string[])[] = [
  [CHUNKED, 'Content-Length: 6'],
  ['Content-Length: 6', CHUNKED],
  ['Content-Length: 6', 'Content-Length: 90'],
  ['Content-Length: 6,90'],
  ['Content-Length:6 90'],
  ['Transfer-Encoding: xchunked'],
  ['Transfer-Encoding: chunked, identity'],
  ['Transfer-Encoding: identity, chunked', 'Content-Length: 6'],
  [CHUNKED, CHUNKED],
  ['Transfer-Encoding : chunked', 'Content-Length: 6'],
  [' Transfer-Encoding: chunked', 'Content-Length: 6'],
  ['X: y\nTransfer-Encoding: chunked', 'Content-Length: 6'],
  ['Transfer-Encoding: \x0bchunked', 'Content-Length: 6'],
  ['Transfer-Encoding: chun\0ked', 'Content-Length: 6'],
  ['Content-Length: 6\r', CHUNKED],
  ['Content-Length: 0x6'],
  ['Content-Length: 06, 6'],
];

/** Requests whose end is in dispute, with a whole request hidden where the one or the other reading begins the next. */
export const smuggles = (of: Asked, hidden: Asked): string[] =>
  DISPUTES.map((headers_) =>
    textOf({
      ...posted(of),
      headers: [...asked(of).headers, 'Content-Type: application/json', ...headers_],
      body: `0\r\n\r\n{${innocent(hidden)}`,
    }),
  );
