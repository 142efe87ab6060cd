import type { CheckedUpload } from '../../domain/file-rules.ts';
import type { Tell } from '../../domain/facts.ts';
import type { FileId, SessionId } from '../../domain/wire-types.ts';
import type { Files, Owner } from '../../ports.ts';
import type { FilledFile, OpenFile, StoreFile } from './store-file.ts';

export interface KeepFilesDeps {
  readonly files: Pick<Files, 'bind'>;
  readonly storing: StoreFile;
  readonly tell: Tell;
}

/** The files of one question while it is answered. */
export interface KeptFiles {
  /** One for each upload. */
  readonly ids: readonly FileId[];
  /** Makes them those of a message, any number of times; gives the ids of those that are there. */
  bindTo(messageId: string): Promise<readonly FileId[]>;
  /** The question is not kept: what was not stored before goes again. Never throws. */
  drop(): Promise<void>;
}

interface Wanted {
  readonly owner: Owner;
  readonly sessionId: SessionId;
  readonly uploads: readonly CheckedUpload[];
}

/**
 * Makes room for the files of a question and begins to store them. Nobody waits for that before the answer is over: the first
 * word of it does not come later for a file.
 */
export async function keepFiles(deps: KeepFilesDeps, { owner, sessionId, uploads }: Wanted): Promise<KeptFiles> {
  const opened = await openAll(deps.storing, { owner, sessionId, uploads });
  const filling = fillAll(deps, uploads, opened);
  const ids = opened.map((file) => file.id);
  const known = opened.flatMap((file) => ('storage' in file ? [] : [file.id]));
  const bound = (messageId: string) => ({ sessionId, messageId });

  return {
    ids,
    async bindTo(messageId) {
      const filled = await filling;
      const there = new Set(known);
      if (known.length > 0) await deps.files.bind(owner, known, bound(messageId));
      for (const file of filled) if (await deps.storing.publish(file, bound(messageId))) there.add(file.id);
      return [...new Set(ids)].filter((id) => there.has(id));
    },
    async drop() {
      await filling;
      for (const file of opened) if ('storage' in file) await deps.storing.drop(file);
    },
  };
}

type Slot = OpenFile | { readonly id: FileId };

/** Those of this conversation are there already; those of another one become files of this one as well. */
async function openAll(storing: StoreFile, { owner, sessionId, uploads }: Wanted): Promise<Slot[]> {
  const slots: Slot[] = [];
  try {
    for (const { stored, sizeBytes } of uploads) {
      const isKnown = stored && (stored.sessionId === null || stored.sessionId === sessionId);
      slots.push(isKnown ? { id: stored.id } : await storing.open(owner, sizeBytes, sessionId));
    }
    return slots;
  } catch (error) {
    for (const slot of slots) if ('storage' in slot) await storing.drop(slot);
    throw error;
  }
}

/** One after the other; the bytes are let go with the last one. Never throws: a file that cannot be stored is told and left out. */
async function fillAll(
  { storing, tell }: KeepFilesDeps,
  uploads: readonly CheckedUpload[],
  slots: readonly Slot[],
): Promise<FilledFile[]> {
  const filled: FilledFile[] = [];
  for (const [at, slot] of slots.entries()) {
    const upload = uploads[at];
    if (!upload || !('storage' in slot)) continue;
    try {
      const name = upload.text === undefined ? upload.name : `${upload.name}.txt`;
      filled.push(await storing.fill(slot, { ...upload, name, chunks: piecesOf(upload.bytes) }));
    } catch (error) {
      tell('file_not_kept', { fileId: slot.id, userId: slot.owner.userId, reason: String(error) });
      await storing.drop(slot);
    }
  }
  return filled;
}

const PIECE_BYTES = 262_144;

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
