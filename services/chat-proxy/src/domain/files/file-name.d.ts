/** A client's name of a file, for showing: without folders and without what cannot be seen. Nothing is ever stored under it. */
export declare function shownName(name: string): string;
/**
 * RFC 6266 with RFC 8187: an ASCII name for old clients, and the real one encoded. Both consist of characters that mean
 * nothing in a header, whatever the name is.
 */
export declare function dispositionOf(kind: 'inline' | 'attachment', name: string): string;
