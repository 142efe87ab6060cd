import type { ErrorCode } from '@tollgate/contracts';
import type { AnswerEvent } from '../domain/answer.ts';
import type { HoldId } from '../domain/wire-types.ts';
import type { WhichAnswer } from '../domain/which-answer.ts';
import type { Owner } from './asker.ts';
/** The processes of this service, by the names they gave themselves. */
export interface Instances {
    /** Shows that this one lives. */
    beat(now: Date, until: Date): Promise<void>;
    isAlive(instance: string, now: Date): Promise<boolean>;
    /** This process ends and has nothing left to do. */
    leave(): Promise<void>;
}
/** Stops that reach an answer wherever it runs. */
export interface AnswerStops {
    /** False when the owner has no such answer under way anywhere. */
    request(owner: Owner, which: WhichAnswer, now: Date): Promise<boolean>;
    /** The answers of this process that somebody wants to end. */
    wanted(): Promise<HoldId[]>;
}
/** How an answer ended that did not come to its own end. */
export interface RecordedFailure {
    readonly code: ErrorCode;
    readonly detail: string | undefined;
}
/** Some events of an answer, as they follow one another. */
export interface RecordedPart {
    readonly requestId: HoldId;
    readonly owner: Owner;
    /** The number of the first of them; the first event of an answer has 1. */
    readonly from: number;
    readonly events: readonly AnswerEvent[];
    /** `cut`: the answer went on, but was too long to be kept. */
    readonly state: 'running' | 'ended' | 'cut';
    readonly failure: RecordedFailure | undefined;
    readonly expiresAt: Date;
}
export interface RecordedPage {
    readonly events: readonly AnswerEvent[];
    readonly state: RecordedPart['state'];
    readonly failure: RecordedFailure | undefined;
    /** The process that gives, or gave, the answer. */
    readonly instance: string;
}
/** Answers that can be read again by way of another process, or after the death of theirs. */
export interface SharedRecordings {
    /** Writing a part once more changes nothing. */
    write(parts: readonly RecordedPart[]): Promise<void>;
    /** The events after that number. Undefined when the owner has no such recording, or none that has not expired. */
    read(owner: Owner, requestId: HoldId, after: number, now: Date): Promise<RecordedPage | undefined>;
    /** Says that a client reads the answer by way of another process. */
    follow(requestId: HoldId, until: Date): Promise<void>;
    /** The answers of this process that are read elsewhere. */
    followed(now: Date): Promise<HoldId[]>;
}
/** One Idempotency-Key of a user in a workspace. */
export interface KeyRow {
    /** Made of user, workspace and key, so that the key itself is not kept. */
    readonly id: string;
    /** Of the request that came with it. */
    readonly fingerprint: string;
    /** The answer that the key stands for. */
    readonly requestId: HoldId;
    readonly createdAt: Date;
    readonly expiresAt: Date;
}
export interface IdempotencyKeys {
    /** One atomic step: the row is written unless the key is taken, and then what is there is returned. */
    claim(row: KeyRow, now: Date): Promise<'claimed' | (KeyRow & {
        state: 'running' | 'done';
        instance: string;
    })>;
    /** The dead owner's key for this process, under another request id. False when somebody else was first. */
    takeOver(row: KeyRow, from: HoldId): Promise<boolean>;
    finish(id: string, requestId: HoldId): Promise<void>;
    /** Nothing has happened under the key: it may be used again. */
    release(id: string, requestId: HoldId): Promise<void>;
}
/** Counts that all processes share. */
export interface RateCounts {
    /** Adds, and returns the count after that. */
    add(key: string, amount: number, expiresAt: Date): Promise<number>;
}
/** Places for answers at one time, which all processes share. Those of a dead process are free. */
export interface AnswerSlots {
    /** One atomic step: false when all places are taken. */
    take(subject: string, requestId: HoldId, most: number, now: Date): Promise<boolean>;
    release(subject: string, requestId: HoldId): Promise<void>;
}
