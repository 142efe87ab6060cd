import { chat } from '@tollgate/contracts';

/** What of a file is kept to judge it, whatever its size. */
export interface Sample {
  readonly head: Buffer;
  readonly tail: Buffer;
  readonly sizeBytes: number;
  /** UTF-8 without a NUL, to the last byte. */
  readonly isText: boolean;
}

export type FileKind = 'image' | 'document' | 'audio';

interface FileType {
  readonly kind: FileKind;
  readonly extensions: readonly string[];
  /** Other names of the same type. */
  readonly aliases?: readonly string[];
  readonly fits: (sample: Sample) => boolean;
}

const starts =
  (...magic: number[]) =>
  ({ head }: Sample): boolean =>
    magic.every((byte, at) => head[at] === byte);
const has = ({ head }: Sample, from: number, text: string): boolean =>
  head.toString('latin1', from, from + text.length) === text;
const isText = (sample: Sample): boolean => sample.isText && !has(sample, 0, '%PDF-');

/** Contract, Files: every type that is known, told by its bytes. A picture that could carry a script (SVG) is none of them. */
const OF_CONTRACT: Readonly<Record<chat.FileType, FileType>> = {
  'image/png': {
    kind: 'image',
    extensions: ['png'],
    fits: starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
  },
  'image/jpeg': {
    kind: 'image',
    extensions: ['jpg', 'jpeg', 'jpe', 'jfif'],
    aliases: ['image/jpg', 'image/pjpeg'],
    fits: starts(0xff, 0xd8, 0xff),
  },
  'image/gif': {
    kind: 'image',
    extensions: ['gif'],
    fits: (sample) => has(sample, 0, 'GIF87a') || has(sample, 0, 'GIF89a'),
  },
  'image/webp': {
    kind: 'image',
    extensions: ['webp'],
    fits: (sample) => has(sample, 0, 'RIFF') && has(sample, 8, 'WEBP'),
  },
  'application/pdf': { kind: 'document', extensions: ['pdf'], fits: (sample) => has(sample, 0, '%PDF-') },
  'text/plain': { kind: 'document', extensions: ['txt', 'text', 'log', 'md'], fits: isText },
  'text/csv': {
    kind: 'document',
    extensions: ['csv', 'txt'],
    aliases: ['application/csv', 'application/vnd.ms-excel'],
    fits: isText,
  },
  'application/msword': {
    kind: 'document',
    extensions: ['doc'],
    fits: starts(0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1),
  },
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': {
    kind: 'document',
    extensions: ['docx'],
    fits: (sample) => starts(0x50, 0x4b, 3, 4)(sample) && isWordArchive(sample),
  },
  'audio/webm': { kind: 'audio', extensions: ['webm', 'weba'], fits: starts(0x1a, 0x45, 0xdf, 0xa3) },
  'audio/mpeg': {
    kind: 'audio',
    extensions: ['mp3'],
    aliases: ['audio/mp3'],
    fits: (sample) => has(sample, 0, 'ID3') || isMpegFrame(sample.head),
  },
  'audio/wav': {
    kind: 'audio',
    extensions: ['wav'],
    aliases: ['audio/x-wav', 'audio/wave', 'audio/vnd.wave'],
    fits: (sample) => has(sample, 0, 'RIFF') && has(sample, 8, 'WAVE'),
  },
  'audio/ogg': {
    kind: 'audio',
    extensions: ['ogg', 'oga', 'opus'],
    fits: (sample) => has(sample, 0, 'OggS'),
  },
  'audio/mp4': {
    kind: 'audio',
    extensions: ['m4a', 'mp4'],
    aliases: ['audio/x-m4a', 'audio/m4a'],
    fits: (sample) => has(sample, 4, 'ftyp'),
  },
};

/** ISO 11172-3, 2.4.2.3: eleven set bits, then neither the reserved version nor the reserved layer. */
const isMpegFrame = ([first = 0, second = 0]: Buffer): boolean =>
  first === 0xff && (second & 0xe0) === 0xe0 && (second & 0x18) !== 0x08 && (second & 0x06) !== 0;

const TYPES: Readonly<Record<string, FileType>> = OF_CONTRACT;
export const KNOWN_TYPES: readonly string[] = chat.FILE_TYPES;
const BY_NAME: ReadonlyMap<string, string> = new Map(
  Object.entries(TYPES).flatMap(([mime, { aliases = [] }]) => [mime, ...aliases].map((name) => [name, mime])),
);

/** Browsers show these themselves, and none of them can carry a script. */
export const isPicture = (mime: string): boolean => TYPES[mime]?.kind === 'image';
export const kindOf = (mime: string): FileKind => TYPES[mime]?.kind ?? 'document';

/** What a client calls a file that it does not know. */
const UNNAMED: ReadonlySet<string> = new Set(['', 'application/octet-stream', 'binary/octet-stream']);

/**
 * The type of a file by its bytes, when what it is declared to be and what it is called agree with them; else the reason
 * why it is refused.
 */
export function judgeFile(
  sample: Sample,
  claim: { readonly mime: string; readonly name: string },
  accepted: ReadonlySet<string>,
): { readonly mime: string } | { readonly refusal: string } {
  const declared = claim.mime.toLowerCase().split(';', 1)[0]?.trim() ?? '';
  const extension = extensionOf(claim.name);
  if (sample.sizeBytes === 0) return { refusal: 'the file is empty' };
  const mime = UNNAMED.has(declared) ? detected(sample, extension) : BY_NAME.get(declared);
  if (mime === undefined || !accepted.has(mime))
    return { refusal: `files of type ${shownType(declared)} are not accepted` };
  const refusal = faultOf(sample, mime, extension);
  return refusal === undefined ? { mime } : { refusal };
}

function faultOf(sample: Sample, mime: string, extension: string): string | undefined {
  const type = TYPES[mime];
  if (extension !== '' && !type?.extensions.includes(extension)) return `the name is not that of ${mime}`;
  return type?.fits(sample) ? undefined : `the bytes are not those of ${mime}`;
}

/** What a client says goes into our sentences only when it is a type. */
const shownType = (declared: string): string => (/^[\w.+/-]{1,100}$/.test(declared) ? declared : 'unknown');

function detected(sample: Sample, extension: string): string | undefined {
  const fitting = Object.entries(TYPES).filter(([, type]) => type.fits(sample));
  return (fitting.find(([, { extensions }]) => extensions.includes(extension)) ?? fitting[0])?.[0];
}

const extensionOf = (name: string): string => /\.([^.\s/\\]{1,20})$/.exec(name)?.[1]?.toLowerCase() ?? '';

/** PKWARE APPNOTE, 4.3.12 and 4.3.16. */
const END_RECORD = 0x06054b50;
const END_BYTES = 22;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const MOST_ENTRIES = 4096;
/** A text document that unfolds to more is meant to fill somebody's memory. */
const MOST_UNPACKED_BYTES = 512 * 1024 * 1024;

/** Whether a ZIP archive is a Word document and no bomb, by its directory alone: nothing is unpacked. */
function isWordArchive({ tail, sizeBytes }: Sample): boolean {
  const at = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (at < 0 || at + END_BYTES > tail.byteLength || tail.readUInt32LE(at) !== END_RECORD) return false;
  const entries = tail.readUInt16LE(at + 10);
  const begin = tail.readUInt32LE(at + 16) - (sizeBytes - tail.byteLength);
  if (entries === 0 || entries > MOST_ENTRIES || begin < 0) return false;
  const listed = listEntries(tail, begin, entries);
  return (
    listed !== undefined &&
    listed.names.has('word/document.xml') &&
    listed.names.has('[Content_Types].xml') &&
    listed.unpackedBytes <= MOST_UNPACKED_BYTES
  );
}

/** Undefined when the directory is broken, or names a place outside of the archive. */
function listEntries(tail: Buffer, begin: number, entries: number) {
  const names = new Set<string>();
  let unpackedBytes = 0;
  let at = begin;
  for (let entry = 0; entry < entries; entry += 1) {
    if (at + ENTRY_BYTES > tail.byteLength || tail.readUInt32LE(at) !== ENTRY) return undefined;
    unpackedBytes += tail.readUInt32LE(at + 24);
    const nameEnd = at + ENTRY_BYTES + tail.readUInt16LE(at + 28);
    const name = tail.toString('utf8', at + ENTRY_BYTES, nameEnd);
    if (nameEnd > tail.byteLength || /(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\]/.test(name)) return undefined;
    names.add(name);
    at = nameEnd + tail.readUInt16LE(at + 30) + tail.readUInt16LE(at + 32);
  }
  return { names, unpackedBytes };
}
