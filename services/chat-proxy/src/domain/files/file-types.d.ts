/** What of a file is kept to judge it, whatever its size. */
export interface Sample {
    readonly head: Buffer;
    readonly tail: Buffer;
    readonly sizeBytes: number;
    /** UTF-8 without a NUL, to the last byte. */
    readonly isText: boolean;
}
export type FileKind = 'image' | 'document' | 'audio';
export declare const KNOWN_TYPES: readonly string[];
/** Browsers show these themselves, and none of them can carry a script. */
export declare const isPicture: (mime: string) => boolean;
export declare const kindOf: (mime: string) => FileKind;
/**
 * The type of a file by its bytes, when what it is declared to be and what it is called agree with them; else the reason
 * why it is refused.
 */
export declare function judgeFile(sample: Sample, claim: {
    readonly mime: string;
    readonly name: string;
}, accepted: ReadonlySet<string>): {
    readonly mime: string;
} | {
    readonly refusal: string;
};
