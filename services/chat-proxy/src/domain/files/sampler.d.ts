import type { Sample } from './file-types.ts';
/** Looks at a file that passes by: keeps its ends, its size and its hash, and nothing else. */
export declare class Sampler {
    #private;
    add(chunk: Uint8Array): void;
    /** When everything was added. */
    sample(): Sample;
    /** SHA-256 of everything, once. */
    hash(): Buffer;
}
