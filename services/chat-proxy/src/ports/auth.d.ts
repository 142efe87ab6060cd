import type { UserId } from '../domain/wire-types.ts';
export interface AuthUser {
    readonly id: UserId;
    readonly username: string;
    readonly email: string;
    readonly isVerified: boolean;
    readonly role: 'enduser' | 'supervisor' | 'admin';
}
export interface Auth {
    logIn(username: string, password: string): Promise<{
        accessToken: string;
        refreshToken: string;
        user: AuthUser;
    }>;
    refresh(refreshToken: string): Promise<{
        accessToken: string;
        refreshToken: string;
    }>;
    logOutAll(token: string): Promise<void>;
    readProfile(token: string): Promise<AuthUser>;
    /** With an administrator's token. Undefined when there is no such user. */
    findByEmail(token: string, email: string): Promise<AuthUser | undefined>;
    /** Whether there is such a workspace, as far as the user of the token may know. */
    hasWorkspace(token: string, workspaceId: string): Promise<boolean>;
}
