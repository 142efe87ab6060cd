import { AppError } from '@tollgate/http-kit';
import { isPicture } from '../../domain/files/file-types.ts';
import type { FileId, SessionId } from '../../domain/wire-types.ts';
import type { Blobs, Clock, Files, Owner, Pictures, StoredFile, ThumbnailStore } from '../../ports.ts';
import type { ClearFiles } from './clear-files.ts';

export interface ReadFilesDeps {
  readonly files: Pick<Files, 'find' | 'findLinked' | 'list' | 'remove'>;
  readonly blobs: Pick<Blobs, 'read' | 'isUsed'>;
  readonly thumbnails: ThumbnailStore;
  readonly pictures: Pick<Pictures, 'thumbnail'>;
  readonly clearing: Pick<ClearFiles, 'clear'>;
  readonly clock: Clock;
}

/** A user's own files in one workspace; somebody else's do not exist. */
export function createReadFiles(deps: ReadFilesDeps) {
  const { files, blobs, thumbnails, clock } = deps;

  const find = async (owner: Owner, id: FileId): Promise<StoredFile> => there(await files.find(owner, id));

  async function thumbnail({ mime, place }: StoredFile, size: number): Promise<Uint8Array> {
    if (!isPicture(mime)) throw new AppError('NO_THUMBNAIL');
    const { storage } = place;
    const kept = await thumbnails.find(storage, size);
    if (kept) return kept;
    const made = await deps.pictures.thumbnail(async () => Buffer.concat(await all(blobs.read(storage))), size);
    if (!made) throw new AppError('NO_THUMBNAIL');
    await thumbnails.save(storage, size, made, new Date(clock.now()));
    // Deleted while it was made: nobody would clear it away any more.
    if (!(await blobs.isUsed(place))) await thumbnails.erase(storage);
    return made;
  }

  return {
    find,
    /** For whoever has a link that is signed. */
    findLinked: async (id: FileId): Promise<StoredFile> => there(await files.findLinked(id)),
    list: (owner: Owner, where: { sessionId: SessionId } | { messageId: string }): Promise<StoredFile[]> =>
      files.list(owner, where),
    bytes: ({ place }: StoredFile, range?: { start: number; end: number }): AsyncIterable<Uint8Array> =>
      blobs.read(place.storage, range),
    thumbnail,

    async remove(owner: Owner, id: FileId): Promise<void> {
      const removed = await files.remove(owner, id, new Date(clock.now()));
      if (!removed) throw missing();
      // Gone for everybody; what cannot be cleared away now is in the background.
      await deps.clearing.clear(removed).catch(() => undefined);
    },
  };
}
export type ReadFiles = ReturnType<typeof createReadFiles>;

function there(file: StoredFile | undefined): StoredFile {
  if (!file) throw missing();
  return file;
}

const missing = (): AppError => new AppError('NOT_FOUND', 'File not found');

/** Of one file, which is bounded. */
async function all(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const chunk of chunks) pieces.push(chunk);
  return pieces;
}
