import { AppError } from '@tollgate/http-kit';
import type { Asker, Auth, AuthUser } from '../ports.ts';

export type LogInDeps = Readonly<{ auth: Auth }>;

/** The login of the auth service under this service's roof, for clients that know only this one. */
export const createLogIn = ({ auth }: LogInDeps) => ({
  logIn: (username: string, password: string) => auth.logIn(username, password),

  async refresh(refreshToken: string) {
    try {
      return await auth.refresh(refreshToken);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'INVALID_REFRESH_TOKEN') throw error;
      throw new AppError('INVALID_REFRESH_TOKEN', 'Invalid or expired refresh token', { cause: error });
    }
  },

  /** A token is revoked with its whole account: nothing less makes it useless at once. A token that is not the caller's is unknown. */
  async revoke(
    caller: Asker & { tokenId?: string; sessionId?: string },
    tokenId: string | null | undefined,
  ): Promise<void> {
    if (tokenId && tokenId !== caller.tokenId && tokenId !== caller.sessionId) {
      throw new AppError('NOT_FOUND', 'Token not found or already revoked');
    }
    await auth.logOutAll(caller.token);
  },

  currentUser: (token: string): Promise<AuthUser> => auth.readProfile(token),
});
