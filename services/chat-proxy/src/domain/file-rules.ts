/** Bytes of one uploaded file: contract.md, Files. */
export const LARGEST_FILE = 10 * 1024 * 1024;

const starts = (bytes: Buffer, ...magic: number[]): boolean => magic.every((byte, at) => bytes[at] === byte);
const textAt = (bytes: Buffer, from: number, text: string): boolean =>
  bytes.toString('latin1', from, from + text.length) === text;

/** What each accepted type begins with. */
const MAGIC: Readonly<Record<string, (bytes: Buffer) => boolean>> = {
  'image/png': (bytes) => starts(bytes, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
  'image/jpeg': (bytes) => starts(bytes, 0xff, 0xd8, 0xff),
  'image/gif': (bytes) => textAt(bytes, 0, 'GIF87a') || textAt(bytes, 0, 'GIF89a'),
  'image/webp': (bytes) => textAt(bytes, 0, 'RIFF') && textAt(bytes, 8, 'WEBP'),
  'application/pdf': (bytes) => textAt(bytes, 0, '%PDF-'),
  'text/plain': isText,
  'text/csv': isText,
  'application/msword': (bytes) => starts(bytes, 0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1),
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': (bytes) => starts(bytes, 0x50, 0x4b, 3, 4),
};

export interface CheckedUpload {
  readonly type: string;
  readonly name: string;
  readonly mime: string;
  readonly sizeBytes: number;
  /** `data:<mime>;base64,…`: Flowise cannot digest raw base64. */
  readonly dataUrl: string;
}

/** An uploaded file whose bytes are what its type says, or the reason why it is refused. */
export function checkUpload(upload: {
  data: string;
  type: string;
  name: string;
  mime: string;
}): CheckedUpload | string {
  const mime = upload.mime.toLowerCase().split(';', 1)[0]?.trim() ?? '';
  const hasType = MAGIC[mime];
  if (!hasType || !Object.hasOwn(MAGIC, mime)) return `files of type ${mime} are not accepted`;
  const base64 = upload.data.startsWith('data:') ? upload.data.slice(upload.data.indexOf(',') + 1) : upload.data;
  if (Buffer.byteLength(base64, 'base64') > LARGEST_FILE) return 'the file is larger than 10 MB';
  const bytes = Buffer.from(base64, 'base64');
  // Not by a pattern: on many megabytes that may need more stack than there is. What is decoded in part does not come back whole.
  if (bytes.byteLength === 0 || bytes.toString('base64') !== base64) return 'the data is no base64';
  if (!hasType(bytes)) return `the bytes are not those of ${mime}`;
  const { type, name } = upload;
  return { type, name, mime, sizeBytes: bytes.byteLength, dataUrl: `data:${mime};base64,${base64}` };
}

function isText(bytes: Buffer): boolean {
  try {
    return !new TextDecoder('utf-8', { fatal: true }).decode(bytes).includes('\u0000');
  } catch {
    return false;
  }
}
