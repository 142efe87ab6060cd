import { createHash } from 'node:crypto';
import { AppError } from '@tollgate/http-kit';
import { isPicture, judgeFile } from '../../domain/files/file-types.ts';
import { shownName } from '../../domain/files/file-name.ts';
import { Sampler } from '../../domain/files/sampler.ts';
import type { FileId, SessionId } from '../../domain/wire-types.ts';
import type {
  BlobPlace,
  Blobs,
  Clock,
  FileBinding,
  FileFacts,
  FileQuotas,
  Files,
  Owner,
  Pictures,
  Quota,
} from '../../ports.ts';
import type { ClearFiles } from './clear-files.ts';

/** Much longer than any upload lasts: then what is left of one is cleared away. */
const UNFINISHED_MS = 3_600_000;

export interface StoreFileDeps {
  readonly files: Pick<Files, 'begin' | 'place' | 'publish' | 'discard'>;
  readonly blobs: Pick<Blobs, 'newStorage' | 'write' | 'claim' | 'erase'>;
  readonly quotas: Pick<FileQuotas, 'reserve' | 'shrink'>;
  readonly pictures: Pick<Pictures, 'measure'>;
  readonly clearing: Pick<ClearFiles, 'clear'>;
  readonly newId: () => string;
  readonly clock: Clock;
  readonly quota: Quota;
  /** Types that are stored. */
  readonly accepted: ReadonlySet<string>;
}

/** A file that has its room, but nobody sees it yet. */
export interface OpenFile {
  readonly id: FileId;
  readonly owner: Owner;
  readonly storage: string;
}

export interface ClaimedFile extends Pick<FileFacts, 'name' | 'mime' | 'type'> {
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Its bytes lie where they will stay; only publishing is left. */
export interface FilledFile extends OpenFile {
  readonly place: BlobPlace;
  readonly facts: FileFacts;
}

/** How a file comes into being, in steps that a crash may end anywhere: what is left is cleared away later. */
export function createStoreFile(deps: StoreFileDeps) {
  const { files, blobs, quotas, clock } = deps;

  /** Makes room for at most so many bytes. FILE_QUOTA_EXCEEDED when the user has none left. */
  async function open(owner: Owner, mostBytes: number, sessionId: SessionId | null = null): Promise<OpenFile> {
    const file = { id: deps.newId() as FileId, owner, storage: blobs.newStorage() };
    await files.begin({ ...file, sessionId }, new Date(clock.now() + UNFINISHED_MS));
    const fits = await quotas.reserve(owner.userId, file.id, mostBytes, deps.quota).catch(async (error: unknown) => {
      await drop(file);
      throw error;
    });
    if (fits) return file;
    await drop(file);
    throw new AppError('FILE_QUOTA_EXCEEDED');
  }

  /** Writes the bytes while they arrive, and judges them when they have: UNSUPPORTED_MEDIA_TYPE. */
  async function fill(file: OpenFile, { name, mime, type, chunks }: ClaimedFile): Promise<FilledFile> {
    const { id, owner, storage } = file;
    const sampler = new Sampler();
    await blobs.write(storage, sampled(chunks, sampler));
    const sample = sampler.sample();
    const judged = judgeFile(sample, { name, mime }, deps.accepted);
    if ('refusal' in judged) throw new AppError('UNSUPPORTED_MEDIA_TYPE', judged.refusal);
    const { sizeBytes, head } = sample;
    const picture = isPicture(judged.mime) ? await deps.pictures.measure(head) : undefined;
    await quotas.shrink(owner.userId, id, sizeBytes);
    const key = keyOf(owner, sampler.hash());
    await files.place(id, key);
    const place = await blobs.claim(key, storage, id);
    if (place.storage !== storage) await blobs.erase(storage);
    const uploadedAt = new Date(clock.now());
    const facts = { name: shownName(name), mime: judged.mime, type, sizeBytes, uploadedAt, picture: picture ?? null };
    return { ...file, place, facts };
  }

  /** False when its conversation was deleted meanwhile, and it with it. */
  async function publish({ id, owner, storage, place, facts }: FilledFile, bound: FileBinding): Promise<boolean> {
    if (await files.publish(id, place, facts, bound)) return true;
    // Whoever cleared it away may not have known yet where its bytes lie.
    await deps.clearing.clear({ id, userId: owner.userId, key: place.key, storages: [storage, place.storage] });
    return false;
  }

  /** Never throws: what cannot be cleared away now is later. */
  async function drop({ id }: OpenFile): Promise<void> {
    try {
      const discarded = await files.discard(id, new Date(clock.now()));
      if (discarded) await deps.clearing.clear(discarded);
    } catch {
      // The row's time comes.
    }
  }

  return { open, fill, publish, drop };
}
export type StoreFile = ReturnType<typeof createStoreFile>;

/** Not across users: from what is stored already nobody learns what others have. */
const keyOf = ({ userId }: Owner, hash: Buffer): string =>
  createHash('sha256').update(userId).update('\u0000').update(hash).digest('base64url');

async function* sampled(
  chunks: AsyncIterable<Uint8Array>,
  sampler: Sampler,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    sampler.add(chunk);
    yield chunk;
  }
}
