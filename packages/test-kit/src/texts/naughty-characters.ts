/** One kind of text that has broken software somewhere, and examples of it. */
export interface Kind {
  readonly name: string;
  readonly texts: readonly string[];
}

const codePoints = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, at) => String.fromCodePoint(from + at)).join('');
const each = (from: number, to: number): string[] => [...codePoints(from, to)];
const around = (marks: readonly string[], inner = 'word'): string[] =>
  marks.flatMap((mark) => [mark, `${mark}${inner}${mark}`]);

/** Text whose single characters are the trouble. */
export const NAUGHTY_CHARACTERS: readonly Kind[] = [
  {
    name: 'nothing and blanks',
    texts: ['', ' ', '  ', '\t', '\n', '\r', '\r\n', '\v', '\f', ' lead', 'trail ', '\n\n\n'],
  },
  {
    name: 'control characters of ASCII',
    texts: [...each(0x00, 0x1f), ...each(0x7f, 0x9f), codePoints(1, 0x1f), `a\0b`, '\0', '\x1b[2J\x1b[31mred'],
  },
  {
    name: 'blanks of Unicode',
    texts: around([
      ...each(0x2000, 0x200f),
      '\u00a0',
      '\u1680',
      '\u2028',
      '\u2029',
      '\u202f',
      '\u205f',
      '\u3000',
      '\u180e',
      '\ufeff',
      '\u2060',
      '\u00ad',
    ]),
  },
  {
    name: 'direction marks',
    texts: [
      ...around(each(0x202a, 0x202e)),
      ...around(each(0x2066, 0x2069)),
      'abc \u202eexe.fdp',
      'שלום world مرحبا',
      '\u061c',
      'بسم الله 123 abc',
    ],
  },
  {
    name: 'halves of surrogate pairs',
    texts: ['\ud800', '\udbff', '\udc00', '\udfff', 'a\ud83d', '\ude00b', '\ude00\ud83d', '\ud83d\ud83d', 'x\udc00y'],
  },
  {
    name: 'characters that are none',
    texts: [
      '\ufffe',
      '\uffff',
      '\u{1fffe}',
      '\u{10ffff}',
      '\ufdd0',
      '\ufffd',
      '\ufffc',
      '\u{e0001}\u{e0061}',
      '\ue000',
      '\u{f0000}',
    ],
  },
  { name: 'emoji', texts: ['😀', '👨‍👩‍👧‍👦', '👍🏿', '🇩🇪🇺', '❤️', '❤', '1️⃣', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', '👩🏽‍🚀👩🏽‍🚀', '\ufe0f', '\u200d'] },
  {
    name: 'combining characters',
    texts: [
      'e\u0301',
      '\u0301',
      'Z\u0300\u0301\u0302\u0303\u0304',
      `a${'\u0300'.repeat(300)}`,
      'ä',
      'a\u0308',
      '가',
      '\u1100\u1161',
      'Å',
      '\u212b',
      'ﬁ',
      'ǆ',
    ],
  },
  {
    name: 'letters that change with case',
    texts: ['ß', 'ẞ', 'İ', 'ı', 'ſ', 'K', 'ŉ', 'ΐ', 'ς', 'Σ', 'ǰ', 'ﬀ', 'Ⱥ', 'ⱥⱦ'],
  },
  {
    name: 'scripts of the world',
    texts: [
      'Ωμέγα',
      'Привет',
      '你好世界',
      '田中さんにあげて下さい',
      '안녕하세요',
      'ประเทศไทย',
      'हिन्दी',
      'தமிழ்',
      'አማርኛ',
      '𝕿𝖍𝖊',
      '𠜎𠜱',
      'ᚠᛇᚻ',
      'ꜱᴍᴀʟʟ',
      'ʇxǝʇ',
      'ＦＵＬＬ',
      '⒯⒣⒠',
      'ﷺ',
    ],
  },
];
