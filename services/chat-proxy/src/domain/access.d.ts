import type { ErrorCode } from '@tollgate/contracts';
import type { UserId } from './wire-types.ts';
/** What an answer was begun with, as far as a revocation can end it. */
export type Access = Readonly<{
    userId: UserId;
    sessionId?: string;
    workspaceId?: string;
    version?: number;
    memberVersion?: number;
    apiKey?: Readonly<{
        id: string;
    }>;
    /** Milliseconds since 1970. */
    issuedAt: number;
}>;
/** What a user is told whose answer was ended for this reason. */
export declare const codeOfEnd: (reason: string) => ErrorCode;
