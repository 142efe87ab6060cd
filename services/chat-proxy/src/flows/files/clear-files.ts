import type { Blobs, Clock, ErasableFile, FileQuotas, Files, ThumbnailStore } from '../../ports.ts';

const CLEARED_AT_ONCE = 50;
/** A turn that fails is repeated after this time. */
const RETRY_MS = 60_000;

export interface ClearFilesDeps {
  readonly files: Pick<Files, 'takeErasable' | 'addStorage' | 'forget'>;
  readonly blobs: Pick<Blobs, 'letGo' | 'strike' | 'isUsed' | 'erase'>;
  readonly thumbnails: Pick<ThumbnailStore, 'erase'>;
  readonly quotas: Pick<FileQuotas, 'release'>;
  readonly clock: Clock;
}

/**
 * Clears away what nobody sees any more: files that were deleted, and those whose upload never came to its end. Every step may
 * be repeated, and the row goes last, so that a crash leaves something to go on with.
 */
export function createClearFiles(deps: ClearFilesDeps) {
  const { files, blobs, thumbnails, quotas, clock } = deps;

  async function clear({ id, userId, key, storages }: ErasableFile): Promise<void> {
    const places = new Set(storages);
    const left = key === null ? undefined : await blobs.letGo(key, id);
    if (left) {
      if (!places.has(left.storage)) await files.addStorage(id, left.storage);
      places.add(left.storage);
      await blobs.strike(left);
    }
    for (const storage of places) {
      if (key !== null && (await blobs.isUsed({ key, storage }))) continue;
      await thumbnails.erase(storage);
      await blobs.erase(storage);
    }
    await quotas.release(userId, id);
    await files.forget(id);
  }

  return {
    clear,
    /** One turn of the background task. */
    async clearSome(): Promise<void> {
      const now = clock.now();
      const due = await files.takeErasable(new Date(now), new Date(now + RETRY_MS), CLEARED_AT_ONCE);
      for (const file of due) await clear(file);
    },
  };
}
export type ClearFiles = ReturnType<typeof createClearFiles>;
