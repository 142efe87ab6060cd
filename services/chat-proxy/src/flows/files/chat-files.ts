import { AppError } from '@tollgate/http-kit';
import { type Chatflow, uploadsOf } from '../../domain/chatflow.ts';
import {
  type CheckedUpload,
  checkUpload,
  type EarlierUpload,
  type InlineUpload,
  refusalOf,
} from '../../domain/file-rules.ts';
import type { SessionId } from '../../domain/wire-types.ts';
import type { Blobs, Files, Owner, StoredFile } from '../../ports.ts';
import { type KeepFilesDeps, type KeptFiles, keepFiles } from './keep-files.ts';

export interface ChatFilesDeps extends KeepFilesDeps {
  readonly files: Pick<Files, 'listOf' | 'bind'>;
  readonly blobs: Pick<Blobs, 'read'>;
  readonly accepted: ReadonlySet<string>;
}

export interface ChatFiles {
  /** Refuses what the chatflow does not take, before anything is reserved, and brings the bytes of files that were sent before. */
  admit(owner: Owner, chatflow: Chatflow, asked: readonly (InlineUpload | EarlierUpload)[]): Promise<CheckedUpload[]>;
  /**
   * Makes room for the files (FILE_QUOTA_EXCEEDED) and begins to store them; nobody waits for that before the answer is over.
   */
  keep(owner: Owner, sessionId: SessionId, uploads: readonly CheckedUpload[]): Promise<KeptFiles>;
}

export function createChatFiles(deps: ChatFilesDeps): ChatFiles {
  return {
    admit: (owner, chatflow, asked) => (asked.length === 0 ? NOTHING : admit(deps, { owner, chatflow, asked })),
    keep: (owner, sessionId, uploads) => keepFiles(deps, { owner, sessionId, uploads }),
  };
}

const NOTHING: Promise<CheckedUpload[]> = Promise.resolve([]);

async function admit(
  { files, blobs, accepted }: ChatFilesDeps,
  { owner, chatflow, asked }: { owner: Owner; chatflow: Chatflow; asked: readonly (InlineUpload | EarlierUpload)[] },
): Promise<CheckedUpload[]> {
  const takes = uploadsOf(chatflow);
  const refuse = (at: number, message: string) =>
    new AppError('VALIDATION_FAILED', undefined, { errors: [{ path: `uploads.${at}`, message }] });
  const ids = asked.flatMap((upload) => ('file_id' in upload ? [upload.file_id] : []));
  const stored = new Map(ids.length > 0 ? (await files.listOf(owner, ids)).map((file) => [file.id, file]) : []);
  const uploads: CheckedUpload[] = [];
  for (const [at, upload] of asked.entries()) {
    const checked =
      'file_id' in upload ? await earlier(blobs, stored.get(upload.file_id), upload) : checkUpload(upload, accepted);
    if (typeof checked === 'string') throw refuse(at, checked);
    const refusal = refusalOf(checked, takes);
    if (refusal !== undefined) throw refuse(at, refusal);
    uploads.push(checked);
    const bytes = uploads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (bytes > MOST_BYTES) throw new AppError('BODY_TOO_LARGE', 'The files of a question may have 20 MB at most');
  }
  return uploads;
}

/** What is forwarded of one question, which is in memory until it is. */
const MOST_BYTES = 20 * 1024 * 1024;

async function earlier(
  blobs: Pick<Blobs, 'read'>,
  file: StoredFile | undefined,
  { type }: EarlierUpload,
): Promise<CheckedUpload | string> {
  if (!file) return 'there is no such file';
  const pieces: Uint8Array[] = [];
  for await (const piece of blobs.read(file.place.storage)) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  const { name, mime, sizeBytes, id, sessionId } = file;
  const dataUrl = `data:${mime};base64,${bytes.toString('base64')}`;
  return { type, name, mime, sizeBytes, bytes, dataUrl, stored: { id, sessionId } };
}
