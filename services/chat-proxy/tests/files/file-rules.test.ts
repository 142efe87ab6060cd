import { describe, expect, it } from '@jest/globals';
import { rangeOf } from '../../src/domain/files/byte-range.ts';
import { createFileLinks } from '../../src/domain/files/file-links.ts';
import { dispositionOf, shownName } from '../../src/domain/files/file-name.ts';
import { judgeFile, KNOWN_TYPES } from '../../src/domain/files/file-types.ts';
import { Sampler } from '../../src/domain/files/sampler.ts';
import { checkUpload, LARGEST_FILE, refusalOf } from '../../src/domain/file-rules.ts';
import type { FileId } from '../../src/domain/wire-types.ts';
import { BEGINNINGS, docx, hugePng, zip } from './samples.ts';

const ALL = new Set(KNOWN_TYPES);
const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';

function sampleOf(bytes: Buffer, pieceBytes = bytes.byteLength) {
  const sampler = new Sampler();
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) sampler.add(bytes.subarray(at, at + pieceBytes));
  return sampler.sample();
}
const judge = (bytes: Buffer, mime: string, name = 'x') => judgeFile(sampleOf(bytes), { mime, name }, ALL);

describe('the type of a file', () => {
  it.each(Object.entries(BEGINNINGS))('%s is told by its bytes, declared or not', (mime, { bytes, extension }) => {
    expect(judge(bytes, mime, `a.${extension}`)).toEqual({ mime });
    expect(judge(bytes, `${mime.toUpperCase()}; x=y`)).toEqual({ mime });
    expect(judge(bytes, 'application/octet-stream', `a.${extension}`)).toEqual({ mime });
  });

  it('is never what the bytes of another type say', () => {
    const pairs = Object.keys(BEGINNINGS).flatMap((mime) =>
      Object.entries(BEGINNINGS).map(([other, { bytes }]) => ({ mime, other, bytes })),
    );
    const isText = (mime: string) => mime.startsWith('text/');
    const passed = pairs.filter(({ mime, bytes }) => 'mime' in judge(bytes, mime));
    // Words between commas are words.
    const wrong = passed.filter(({ mime, other }) => mime !== other && !(isText(mime) && isText(other)));
    expect(wrong.map(({ mime, other }) => `${other} as ${mime}`)).toEqual([]);
    expect(passed.length).toBeGreaterThanOrEqual(KNOWN_TYPES.length);
  });

  it.each([
    ['text/html', '<script>alert(1)</script>'],
    ['image/svg+xml', '<svg onload="alert(1)"/>'],
    ['application/x-msdownload', 'MZ'],
    ['constructor', 'x'],
    ['__proto__', 'x'],
    ['text/html\r\nx: y', 'x'],
  ])('%j is taken by nobody', (mime, text) => {
    expect(judge(Buffer.from(text), mime)).toEqual({ refusal: expect.not.stringMatching(/[\r\n]/) });
  });

  it.each([
    ['page.html', 'text/plain'],
    ['picture.svg', 'text/plain'],
    ['photo.png.exe', 'image/png'],
    ['photo.jpg', 'image/png'],
  ])('does not go with the name %s', (name, mime) => {
    const { bytes } = BEGINNINGS[mime] ?? { bytes: Buffer.alloc(0) };
    expect(judge(bytes, mime, name)).toHaveProperty('refusal');
  });

  it('is refused when the operator does not take it', () => {
    const claim = { mime: 'image/png', name: 'a.png' };
    expect(judgeFile(sampleOf(hugePng(1, 1)), claim, new Set(['text/plain']))).toHaveProperty('refusal');
  });

  it('is text only when every byte of it is', () => {
    const text = Buffer.from(`${'a'.repeat(600_000)}ü`);
    for (const pieceBytes of [7, 65_536, 600_001]) expect(sampleOf(text, pieceBytes).isText).toBe(true);
    expect(sampleOf(text.subarray(0, -1), 65_536).isText).toBe(false);
    expect(sampleOf(Buffer.concat([text, Buffer.from([0])]), 65_536).isText).toBe(false);
    expect(sampleOf(Buffer.from([0xff, 0xfe, 0x41, 0]), 2).isText).toBe(false);
  });

  it.each([
    ['no Word document', zip([{ name: 'xl/workbook.xml' }, { name: '[Content_Types].xml' }])],
    ['a bomb', docx([{ name: 'word/media/a.bin', unpackedBytes: 4_000_000_000 }])],
    ['a way out', docx([{ name: '../../etc/passwd' }])],
    ['a way to the root', docx([{ name: '/etc/passwd' }])],
    ['a broken directory', docx().subarray(0, -30)],
    ['a directory elsewhere', Buffer.concat([docx(), Buffer.alloc(300_000)])],
    ['nothing in it', zip([])],
    ['more entries than anybody writes', docx(Array.from({ length: 4100 }, (_, at) => ({ name: `${at}` })))],
  ])('is no document when the archive has %s', (_what, bytes) => {
    expect(judge(bytes, DOCX, 'a.docx')).toEqual({ refusal: `the bytes are not those of ${DOCX}` });
  });

  it('is seen in an archive of any size by its end', () => {
    const large = zip([
      { name: 'a'.repeat(400) },
      ...Array.from({ length: 900 }, (_, at) => ({ name: `word/media/${'x'.repeat(100)}${at}` })),
      { name: '[Content_Types].xml' },
      { name: 'word/document.xml' },
    ]);
    expect(judgeFile(sampleOf(large, 4096), { mime: DOCX, name: 'a.docx' }, ALL)).toEqual({ mime: DOCX });
  });
});

describe('a file inside a chat request', () => {
  const PNG = hugePng(1, 1).toString('base64');
  const check = (data: string, mime: string, name = 'x') => checkUpload({ data, type: 'file', name, mime }, ALL);

  it.each([PNG, `data:image/png;base64,${PNG}`, `data:text/html,;base64,${PNG}`])(
    'becomes one data URL of its true type, raw or not',
    (data) => {
      expect(check(data.replace('text/html,', 'text/html'), 'image/png', 'a.png')).toMatchObject({
        dataUrl: `data:image/png;base64,${PNG}`,
        sizeBytes: hugePng(1, 1).byteLength,
      });
    },
  );

  it('may have every byte that is allowed', () => {
    const data = Buffer.alloc(LARGEST_FILE, 65).toString('base64');
    expect(check(data, 'text/plain')).toMatchObject({ sizeBytes: LARGEST_FILE });
  });

  it.each([
    ['a lie about its type', { data: PNG, mime: 'application/pdf' }],
    ['a type nobody takes', { data: PNG, mime: 'text/html' }],
    ['no base64', { data: 'a b c', mime: 'text/plain' }],
    ['nothing', { data: '', mime: 'text/plain' }],
    ['base64 with something behind it', { data: 'YWJj!', mime: 'text/plain' }],
    ['the base64 of addresses', { data: 'YWJj_-8=', mime: 'text/plain' }],
    ['base64 that ends too soon', { data: 'YWJjZA', mime: 'text/plain' }],
    ['binary as text', { data: Buffer.from([0, 1, 2]).toString('base64'), mime: 'text/plain' }],
    ['too many bytes', { data: Buffer.alloc(LARGEST_FILE + 1, 65).toString('base64'), mime: 'text/plain' }],
  ])('is refused for %s', (_, { data, mime }) => {
    expect(typeof check(data, mime)).toBe('string');
  });

  it('is audio exactly when its bytes are', () => {
    const takes = { images: true, files: true, audio: true };
    expect(refusalOf({ type: 'audio', mime: 'audio/webm' }, takes)).toBeUndefined();
    expect(refusalOf({ type: 'audio', mime: 'image/png' }, takes)).toBeDefined();
    expect(refusalOf({ type: 'file', mime: 'audio/webm' }, takes)).toBeDefined();
    expect(refusalOf({ type: 'file', mime: 'image/png' }, { ...takes, images: false })).toBeDefined();
  });
});

describe('the name of a file', () => {
  it.each([
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\windows\\win.ini', 'win.ini'],
    ['/', 'file'],
    ['..', 'file'],
    ['', 'file'],
    ['a\u0000b\r\nSet-Cookie: x=1.txt', 'abSet-Cookie: x=1.txt'],
    ['\u202egnp.exe', 'gnp.exe'],
    [' Übung #1.pdf ', 'Übung #1.pdf'],
    [`${'x'.repeat(400)}.txt`, `${'x'.repeat(251)}.txt`],
  ])('%j is shown as %j', (name, shown) => {
    expect(shownName(name)).toBe(shown);
  });

  it.each(['a"b\\c\r\nset-cookie: x=1', "a';filename*=UTF-8''evil", 'Übung 😀.pdf', '%0d%0a', ''])(
    '%j means nothing in a header',
    (name) => {
      const header = dispositionOf('attachment', name);
      expect(header).toMatch(/^attachment; filename="[\w. -]*"; filename\*=UTF-8''[\w.!~%-]*$/);
      expect(decodeURIComponent(header.split("UTF-8''")[1] ?? '')).toBe(name);
    },
  );
});

describe('a range', () => {
  it.each([
    [undefined, 'whole'],
    ['bytes=0-', { start: 0, end: 10 }],
    ['bytes=2-4', { start: 2, end: 5 }],
    ['bytes=9-999999', { start: 9, end: 10 }],
    ['bytes=-3', { start: 7, end: 10 }],
    ['bytes=-999', { start: 0, end: 10 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=4-2', 'whole'],
    ['bytes=0-1,3-4', 'whole'],
    ['bytes=-', 'whole'],
    ['items=0-1', 'whole'],
    [`bytes=${'9'.repeat(400)}-`, 'whole'],
  ] as const)('%j of ten bytes is %j', (header, range) => {
    expect(rangeOf(header, 10)).toEqual(range);
  });
});

describe('a signed link', () => {
  let now = 1_000_000;
  const id = '6d6a5a16-9f57-4d3f-8a65-0d5a3a0b8d11' as FileId;
  const other = '6d6a5a16-9f57-4d3f-8a65-0d5a3a0b8d12' as FileId;
  const linksOf = (...secrets: [string, ...string[]]) =>
    createFileLinks({ secrets, lifetimeMs: 60_000, now: () => now });
  const links = linksOf('a');
  const parsed = (link: string) => {
    const { pathname, searchParams } = new URL(link, 'http://x');
    const [variant = '', expires, signature = ''] = ['variant', 'expires', 'signature'].map(
      (name) => searchParams.get(name) ?? '',
    );
    return { id: pathname.split('/')[5] as FileId, variant, expires: Number(expires), signature };
  };

  it('is good for its file, variant and time, and for nothing else', () => {
    const link = parsed(links.to(id, 'view'));
    expect(link.id).toBe(id);
    expect(links.isGood(link)).toBe(true);
    expect(links.isGood({ ...link, id: other })).toBe(false);
    expect(links.isGood({ ...link, variant: 'download' })).toBe(false);
    expect(links.isGood({ ...link, expires: link.expires + 1 })).toBe(false);
    expect(
      links.isGood({ ...link, signature: link.signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')) }),
    ).toBe(false);
    expect(links.isGood({ ...link, signature: '' })).toBe(false);
    now += 60_001;
    expect(links.isGood(link)).toBe(false);
  });

  it('stays good while its key is among the former ones', () => {
    const link = parsed(linksOf('old').to(id, '200'));
    expect(linksOf('new', 'old').isGood(link)).toBe(true);
    expect(linksOf('new').isGood(link)).toBe(false);
  });
});
