import type { Access } from '../domain/access.ts';
export interface Clock {
    /** Milliseconds since 1970. */
    now(): number;
}
/** Whose conversations: those of a user in one workspace. */
export type Owner = Pick<Asker, 'userId' | 'workspaceId'>;
/** The user on whose behalf something is done. */
export interface Asker extends Access {
    readonly username: string;
    /** Where the user works; absent in tokens that name no workspace. */
    readonly workspaceId?: string;
    /** Bearer token. Never log it. */
    readonly token: string;
}
