import type { UploadRules } from './chatflow.ts';
import { judgeFile, KNOWN_TYPES, kindOf } from './files/file-types.ts';
import { shownName } from './files/file-name.ts';
import { Sampler } from './files/sampler.ts';
import type { FileId, SessionId } from './wire-types.ts';

/** Bytes of one uploaded file: contract.md, Files. */
export const LARGEST_FILE = 10 * 1024 * 1024;

/** A file as a chat request brings it: its bytes as base64 or a data URL. */
export interface InlineUpload {
  readonly data: string;
  readonly type: string;
  readonly name: string;
  readonly mime: string;
}

/** A file that the client has sent before. */
export interface EarlierUpload {
  readonly file_id: FileId;
  readonly type: string;
}

export interface CheckedUpload {
  readonly type: string;
  readonly name: string;
  readonly mime: string;
  readonly sizeBytes: number;
  /** `data:<mime>;base64,…`: Flowise cannot digest raw base64. */
  readonly dataUrl: string;
  readonly bytes: Buffer;
  /** What was read out of it before: a chat window of Flowise has that done first. */
  readonly text?: string;
  /** When it is a file that was sent before. */
  readonly stored?: { readonly id: FileId; readonly sessionId: SessionId | null };
}

const ALL_TYPES: ReadonlySet<string> = new Set(KNOWN_TYPES);

/** An uploaded file whose bytes are what its type says, or the reason why it is refused. */
export function checkUpload(upload: InlineUpload, accepted = ALL_TYPES): CheckedUpload | string {
  const checked = checkBytes(upload, accepted);
  const isText = typeof checked === 'string' && upload.type === 'file:full' && !upload.data.startsWith('data:');
  return isText ? readUpload(upload, accepted) : checked;
}

function checkBytes(upload: InlineUpload, accepted: ReadonlySet<string>): CheckedUpload | string {
  const base64 = upload.data.startsWith('data:') ? upload.data.slice(upload.data.indexOf(',') + 1) : upload.data;
  if (Buffer.byteLength(base64, 'base64') > LARGEST_FILE) return TOO_LARGE;
  const bytes = Buffer.from(base64, 'base64');
  // Not by a pattern: on many megabytes that may need more stack than there is. What is decoded in part does not come back whole.
  if (bytes.byteLength === 0 || bytes.toString('base64') !== base64) return 'the data is no base64';
  const judged = judgeBytes(bytes, upload, accepted);
  if ('refusal' in judged) return judged.refusal;
  return checkedOf(upload, { mime: judged.mime, bytes, base64 });
}

/** A document as the text that Flowise has read out of it: of its own type there is only the name left. */
function readUpload(upload: InlineUpload, accepted: ReadonlySet<string>): CheckedUpload | string {
  const bytes = Buffer.from(upload.data);
  if (bytes.byteLength > LARGEST_FILE) return TOO_LARGE;
  const judged = judgeBytes(bytes, { name: '', mime: 'text/plain' }, accepted);
  if ('refusal' in judged) return judged.refusal;
  const { mime } = judged;
  return { ...checkedOf(upload, { mime, bytes, base64: bytes.toString('base64') }), text: upload.data };
}

const TOO_LARGE = 'the file is larger than 10 MB';

function judgeBytes(bytes: Buffer, claim: { name: string; mime: string }, accepted: ReadonlySet<string>) {
  const sampler = new Sampler();
  sampler.add(bytes);
  return judgeFile(sampler.sample(), claim, accepted);
}

const checkedOf = (
  { type, name }: InlineUpload,
  { mime, bytes, base64 }: { mime: string; bytes: Buffer; base64: string },
): CheckedUpload => ({
  type,
  name: shownName(name),
  mime,
  bytes,
  sizeBytes: bytes.byteLength,
  dataUrl: `data:${mime};base64,${base64}`,
});

/** Why a chatflow does not take a file; undefined when it does. */
export function refusalOf(
  { type, mime }: Pick<CheckedUpload, 'type' | 'mime'>,
  takes: UploadRules,
): string | undefined {
  const kind = kindOf(mime);
  if ((type === 'audio') !== (kind === 'audio')) return `a file of type ${mime} cannot be sent as ${type}`;
  const isTaken = { image: takes.images, document: takes.files, audio: takes.audio }[kind];
  return isTaken ? undefined : `this chatflow takes no ${kind} files`;
}

/** A picture comes to fewer tokens at every known model. */
const PICTURE_TOKENS = 2048;

/** Upper bound of what files add to the input: the text of a whole document is put before the question. */
export const inputBytesOf = (uploads: readonly CheckedUpload[]): number =>
  uploads.reduce((sum, { type, mime, sizeBytes }) => {
    if (kindOf(mime) === 'image') return sum + PICTURE_TOKENS;
    return type === 'file:full' ? sum + sizeBytes : sum;
  }, 0);
