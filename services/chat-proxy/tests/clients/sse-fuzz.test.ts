import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import fc from 'fast-check';
import { SseDecoder } from '../../src/clients/upstream/sse-decoder.ts';
import { referenceData } from './reference-events.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? 1);
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 150);

const decoded = (pieces: readonly Uint8Array[]): string[] => read(pieces).data;
const read = (pieces: readonly Uint8Array[]): { data: string[]; hasGarbage: boolean } => {
  const decoder = new SseDecoder();
  const data = pieces.flatMap((piece) => decoder.feed(piece));
  return { data, hasGarbage: decoder.hasGarbage };
};
const bytewise = (bytes: Uint8Array): Uint8Array[] => Array.from(bytes, (byte) => Uint8Array.of(byte));

/** What the tests of browsers look at in the format of event streams, in our own words: name, stream. */
const CASES: readonly (readonly [string, string])[] = [
  ['a mark of byte order before it', '\uFEFFdata:1\n\ndata:2\n\n'],
  ['two marks of byte order', '\uFEFF\uFEFFdata:1\n\ndata:2\n\ndata:3\n\n'],
  ['a mark of byte order further on', 'data:1\n\n\uFEFFdata:2\n\ndata:3\n\n'],
  ['the mark of byte order as other software shows it', '\u00ef\u00bb\u00bfdata:1\n\ndata:2\n\n'],
  ['comments', 'data:1\r:\0\n:\r\ndata:2\n:x\rdata:3\n\n:\n\n::\n\n'],
  ['a long comment', `data:1\r:${'x'.repeat(300)}\r\ndata:4\n\n`],
  ['data without a colon', 'data:\n\ndata\ndata\n\ndata:test\n\n'],
  ['data before the end', 'data:1\n\ndata:2'],
  ['data and one end of a line', 'data:1\n\ndata:2\n'],
  ['one space after the colon, which does not count, and others, which do', 'data: 1\ndata:  2\ndata:\t3\ndata:4 \n\n'],
  ['spaces before the name and after it', ' data:1\ndata :2\n data:3\ndata\u00a0:4\ndata:5\n\n'],
  ['names in other letters', 'DATA:1\nData:2\ndatä:3\ndata:4\n\n'],
  ['unknown names', 'data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\n\n'],
  ['kinds of events', 'event:test\ndata:1\n\nevent:\ndata:2\n\nevent:a\nevent:b\ndata:3\n\nevent:lost\n\ndata:4\n\n'],
  ['ids, one with NUL', 'id:1\ndata:1\n\nid:2\0\ndata:2\n\nid\ndata:3\n\n'],
  ['times to wait', 'retry:3000\nretry:1x\nretry:\nretry:-1\ndata:x\n\n'],
  ['all ends of lines', 'data:1\rdata:2\ndata:3\r\ndata:4\r\rdata:5\n\ndata:6\r\n\r\ndata:7\n\r\ndata:8\r\n\n'],
  ['ends of lines that are CR alone', 'data:1\r\rdata:2\r\r'],
  ['ends of lines that are CRLF alone', 'data:1\r\n\r\ndata:2\r\n\r\n'],
  ['an end of a line between CR and LF of others', 'data:1\r\n\r\r\n\ndata:2\n\r\r'],
  ['NUL in data', '\0\ndata:\0\ndata:a\0b\n\n'],
  ['colons', ':\n::\ndata::\ndata:::x\n\n:data:1\n\n'],
  ['nothing but ends of lines', '\n\r\r\n\n\n\r'],
  ['characters of one to four bytes', 'data:é€😀\u2028\u2029\u0085\v\f\n\ndata:e\u0301\n\n'],
  ['what JSON leaves as it is', `data:${JSON.stringify('\u2028\u2029\u007f\ud800')}\n\n`],
];

/** The lines of a stream, with everything that means something to a parser more often than not. */
const line = fc.oneof(
  fc.constantFrom(
    'data',
    'data:',
    'data: ',
    'data:x',
    'data: x y',
    'event:e',
    'id:1',
    'retry:5',
    ':',
    ':c',
    'x',
    '',
    '',
    '',
    '\0',
    '\uFEFF',
    'dat',
    ' data:x',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => `data:${text}`),
  fc.string({ unit: 'binary', maxLength: 6 }),
);
const streams = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\r\r', '\r\n\r\n', '')), { maxLength: 20 })
  .map((lines) => Buffer.from(lines.flat().join('')));
const garbage = fc.uint8Array({ maxLength: 200 });
/** Bytes among which those of streams are frequent, so that garbage gets beyond its first line. */
const rubble = fc
  .array(fc.oneof(fc.constantFrom(0x0a, 0x0d, 0x3a, 0x20, 0, 0xef, 0xbb, 0xbf, 0xf0, 0x9f), fc.nat(255)), {
    maxLength: 120,
  })
  .map((bytes) => Uint8Array.from(bytes));

/** One to many pieces of the same bytes; some are empty. */
const slicesOf = (bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, at) => bytes.subarray(places[at] ?? 0, end));
};

describe('an event stream', () => {
  it.each(CASES)('with %s means what the standard says, wherever it is cut', (_name, text) => {
    const bytes = Buffer.from(text);
    const expected = referenceData(bytes);
    expect(decoded([bytes])).toEqual(expected);
    for (let at = 0; at <= bytes.length; at += 1) {
      expect({ at, data: decoded([bytes.subarray(0, at), bytes.subarray(at)]) }).toEqual({ at, data: expected });
    }
    expect(decoded(bytewise(bytes))).toEqual(expected);
  });

  it('means the same as in one piece whatever it is made of and however it is cut', () => {
    fc.assert(
      fc.property(fc.oneof(streams, rubble, garbage), fc.array(fc.nat(), { maxLength: 12 }), (bytes, cuts) => {
        const whole = read([bytes]);
        expect(whole.data).toEqual(referenceData(bytes));
        expect(read(slicesOf(bytes, cuts))).toEqual(whole);
        expect(read(bytewise(bytes))).toEqual(whole);
      }),
      { seed, numRuns },
    );
  });

  it('gives an event at the moment it is complete, not with the next one', () => {
    for (const end of ['\n\n', '\r\r', '\r\n\r\n']) {
      const decoder = new SseDecoder();
      expect({ end, data: decoder.feed(Buffer.from(`data:x${end}`)) }).toEqual({ end, data: ['x'] });
      expect(decoder.feed(Buffer.from(`data:y${end}`))).toEqual(['y']);
    }
  });

  it.each([
    ['one line', 'data:', 'x'],
    ['lines of data that no blank line ends', '', 'data:xxxxxxxxxxxxxxxxxx\n'],
    ['lines of data that no blank line ends, of CR', '', 'data:xxxxxxxxxxxxxxxxxx\r'],
    ['half characters', 'data:', '\ud800'],
  ])('of nothing but %s is given up at its bound', (_what, head, piece) => {
    const decoder = new SseDecoder();
    decoder.feed(Buffer.from(head));
    expect(() => feedMuch(decoder, piece)).toThrow(AppError);
    expect(() => decoder.feed(Buffer.from('data:x\n\n'))).toThrow(AppError);
  });

  it.each([
    ['comment', ':', 'x', false],
    ['name', '', 'x', true],
    ['row of NUL', '', '\0', true],
  ])('keeps nothing of a %s without an end, and reads on after it', (_what, head, piece, isGarbage) => {
    const decoder = new SseDecoder();
    decoder.feed(Buffer.from(head));
    expect(feedMuch(decoder, piece)).toEqual([]);
    expect(decoder.feed(Buffer.from('\ndata:x\n\n'))).toEqual(['x']);
    expect(decoder.hasGarbage).toBe(isGarbage);
  });
});

/** Four times what an event may have. */
function feedMuch(decoder: SseDecoder, piece: string): string[] {
  const chunk = Buffer.from(piece.repeat(65_536 / piece.length));
  return Array.from({ length: 64 }, () => decoder.feed(chunk)).flat();
}
