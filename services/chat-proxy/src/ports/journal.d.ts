import type { Origin } from '@tollgate/http-kit';
import type { HoldId, Units, UserId } from '../domain/wire-types.ts';
import type { Ending } from './accounting.ts';
export interface JournalRow {
    readonly holdId: HoldId;
    readonly userId: UserId;
    /** The request that the hold was taken for; absent in rows of earlier versions. */
    readonly origin?: Origin;
    /** How the hold is to end; absent while its answer was running when last heard of. */
    readonly ending?: Ending;
    readonly checkpoint?: Units;
}
/** A row that has stood for longer than it should. */
export interface StandingRow {
    readonly holdId: HoldId;
    readonly userId: UserId;
    readonly isEnding: boolean;
}
/** What this proxy owes accounting, kept in MongoDB so that a crash forgets none of it. */
export interface Journal {
    /** The workspace is for those who look for an answer of theirs; closing a hold asks for its user only. */
    open(hold: {
        holdId: HoldId;
        userId: UserId;
        workspaceId?: string;
        origin?: Origin;
    }, leaseUntil: Date): Promise<void>;
    checkpoint(rows: readonly {
        holdId: HoldId;
        fence: number;
        units?: Units;
    }[], leaseUntil: Date): Promise<void>;
    conclude(hold: {
        holdId: HoldId;
        userId: UserId;
    }, ending: Ending, leaseUntil: Date): Promise<void>;
    close(holdId: HoldId): Promise<void>;
    /**
     * Rows whose owner has not been heard of since its lease ran out. A decided end is taken over; a row without one is only kept
     * from other readers until `leaseUntil`, because its owner may be alive and write again.
     */
    adopt(now: Date, leaseUntil: Date, limit: number): Promise<JournalRow[]>;
    /** Rows made before a moment, by id from `after` on; without the answers that this process is giving. */
    standing(before: Date, after: HoldId | undefined, limit: number): Promise<StandingRow[]>;
    /** Whether the end of a hold is still owed. */
    has(holdId: HoldId): Promise<boolean>;
    count(): Promise<number>;
    /** When the lease ends that ends first; undefined when nothing is owed. */
    firstLeaseEnd(): Promise<Date | undefined>;
}
