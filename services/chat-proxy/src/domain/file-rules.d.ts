import type { UploadRules } from './chatflow.ts';
import type { FileId, SessionId } from './wire-types.ts';
/** Bytes of one uploaded file: contract.md, Files. */
export declare const LARGEST_FILE: number;
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
    readonly stored?: {
        readonly id: FileId;
        readonly sessionId: SessionId | null;
    };
}
/** An uploaded file whose bytes are what its type says, or the reason why it is refused. */
export declare function checkUpload(upload: InlineUpload, accepted?: ReadonlySet<string>): CheckedUpload | string;
/** Why a chatflow does not take a file; undefined when it does. */
export declare function refusalOf({ type, mime }: Pick<CheckedUpload, 'type' | 'mime'>, takes: UploadRules): string | undefined;
/** Upper bound of what files add to the input: the text of a whole document is put before the question. */
export declare const inputBytesOf: (uploads: readonly CheckedUpload[]) => number;
