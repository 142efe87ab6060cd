/** What a chatflow or a workspace lets the platform keep of conversations. */
export interface Storage {
    /** `nothing`: neither question nor answer reaches the database, whatever the client asks for. */
    readonly keeps: 'all' | 'nothing';
    /** Days a conversation is kept after it was last used; null: until its owner deletes it. */
    readonly retentionDays: number | null;
}
export declare const KEEPS_ALL: Storage;
/** What both allow. */
export declare function stricter(one: Storage, other: Storage): Storage;
