import type { FileId, SessionId, UserId } from '../domain/wire-types.ts';
import type { Owner } from './asker.ts';
import type { SessionFiles } from './conversations.ts';
/** Where the bytes of a file lie: those of one user that are alike lie in one place. */
export interface BlobPlace {
    readonly key: string;
    readonly storage: string;
}
export interface StoredFile {
    readonly id: FileId;
    readonly userId: UserId;
    readonly sessionId: SessionId | null;
    readonly messageIds: readonly string[];
    readonly name: string;
    readonly mime: string;
    /** As the client sent it: `file`, `audio`, … */
    readonly type: string;
    readonly sizeBytes: number;
    readonly uploadedAt: Date;
    /** Null for what is no picture, or one whose measures could not be read. */
    readonly picture: Picture | null;
    readonly place: BlobPlace;
}
export interface Picture {
    readonly width: number;
    readonly height: number;
}
export type FileFacts = Pick<StoredFile, 'name' | 'mime' | 'type' | 'sizeBytes' | 'uploadedAt' | 'picture'>;
/** Bounded lists of files are at most so long. */
export interface Files {
    /** A row that nobody sees, and that is cleared away after `eraseAt` unless it is published before. */
    begin(file: {
        id: FileId;
        owner: Owner;
        storage: string;
        sessionId: SessionId | null;
    }, eraseAt: Date): Promise<void>;
    /** Notes where the bytes will lie, before they are claimed there. */
    place(id: FileId, key: string): Promise<void>;
    /** From now on it is there. False when it was cleared away meanwhile. */
    publish(id: FileId, place: BlobPlace, facts: FileFacts, bound: FileBinding): Promise<boolean>;
    /** It will not be published. */
    discard(id: FileId, at: Date): Promise<ErasableFile | undefined>;
    /** Makes it one of the message, and of the conversation when it belonged to none. */
    bind(owner: Owner, ids: readonly FileId[], bound: Required<FileBinding>): Promise<void>;
    find(owner: Owner, id: FileId): Promise<StoredFile | undefined>;
    /** Whoever asks has proven by a signature that the owner was given the link. */
    findLinked(id: FileId): Promise<StoredFile | undefined>;
    list(owner: Owner, where: {
        sessionId: SessionId;
    } | {
        messageId: string;
    }): Promise<StoredFile[]>;
    /** Those of the given ones that are there, in no order. */
    listOf(owner: Owner, ids: readonly FileId[]): Promise<StoredFile[]>;
    /** Nobody sees it any more; undefined when there is none. */
    remove(owner: Owner, id: FileId, at: Date): Promise<ErasableFile | undefined>;
    /** Those of conversations that are deleted. */
    forgetOf: SessionFiles['forgetOf'];
    /** All of somebody who is gone, in every workspace. */
    forgetUser: SessionFiles['forgetUser'];
    /** Rows whose time has come, each of which nobody else takes until `again`. */
    takeErasable(now: Date, again: Date, limit: number): Promise<ErasableFile[]>;
    /** Another place that goes with the row. */
    addStorage(id: FileId, storage: string): Promise<void>;
    /** The last step of clearing away. */
    forget(id: FileId): Promise<void>;
}
export interface FileBinding {
    readonly sessionId: SessionId | null;
    readonly messageId?: string;
}
export interface ErasableFile {
    readonly id: FileId;
    readonly userId: UserId;
    readonly key: string | null;
    readonly storages: readonly string[];
}
export interface Quota {
    readonly bytes: number;
    readonly files: number;
}
/** What each user’s files take up; one document for each user, so that a race has one winner. */
export interface FileQuotas {
    /** False when it does not fit any more. The same file is never counted twice. */
    reserve(userId: UserId, id: FileId, bytes: number, quota: Quota): Promise<boolean>;
    /** Down to what the file has in truth. */
    shrink(userId: UserId, id: FileId, bytes: number): Promise<void>;
    /** Any number of times. */
    release(userId: UserId, id: FileId): Promise<void>;
}
export interface Blobs {
    newStorage(): string;
    write(storage: string, chunks: AsyncIterable<Uint8Array>): Promise<void>;
    /** The file becomes a holder of these bytes; what was stored is then in the place given. One atomic step. */
    claim(key: string, storage: string, id: FileId): Promise<BlobPlace>;
    /** The file holds them no more. The place, when nobody else holds them either. */
    letGo(key: string, id: FileId): Promise<BlobPlace | undefined>;
    /** False when somebody holds it again. */
    strike(place: BlobPlace): Promise<boolean>;
    isUsed(place: BlobPlace): Promise<boolean>;
    /** Any number of times. */
    erase(storage: string): Promise<void>;
    read(storage: string, range?: {
        readonly start: number;
        readonly end: number;
    }): AsyncIterable<Uint8Array>;
}
/** Small pictures, kept as long as the bytes they were made from. */
export interface ThumbnailStore {
    find(storage: string, size: number): Promise<Uint8Array | undefined>;
    save(storage: string, size: number, bytes: Uint8Array, at: Date): Promise<void>;
    erase(storage: string): Promise<void>;
}
/** Looks at pictures without trusting them, beside the event loop and only at so many at once. */
export interface Pictures {
    /** By the beginning of the file; undefined when it cannot be read. */
    measure(head: Uint8Array): Promise<Picture | undefined>;
    /** Undefined when the picture is broken or larger than what is looked at. `read` is asked for it when its turn has come. */
    thumbnail(read: () => Promise<Uint8Array>, size: number): Promise<Uint8Array | undefined>;
}
