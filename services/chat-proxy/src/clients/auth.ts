import { auth as operations } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { type Connections, createClient } from '@tollgate/http-kit/client';
import type { Auth, AuthUser } from '../ports.ts';

export interface AuthOptions {
  readonly baseUrl: string;
  /** Milliseconds for one attempt; a login takes a slow password hash. */
  readonly timeoutMs: number;
  /** Where somebody goes whose login asks for a workspace. */
  readonly defaultWorkspaceId: string;
}

export interface AuthClient extends Auth {
  connections(): Connections;
  close(): Promise<void>;
}

const { logIn, selectWorkspace, refreshSession, logOutAll, readProfile, readUserByEmail, readWorkspace } = operations;

/** The auth service, always called with the user's own credentials. */
export function authClient({ baseUrl, timeoutMs, defaultWorkspaceId: workspaceId }: AuthOptions): AuthClient {
  const client = createClient(
    { logIn, selectWorkspace, refreshSession, logOutAll, readProfile, readUserByEmail, readWorkspace },
    { baseUrl, timeoutMs },
  );

  return {
    async logIn(username, password) {
      const answer = await client.logIn({ body: { username, password } });
      // The challenge stays here: this façade has no second step, and nobody else should have its secret.
      if ('challenge' in answer) throw new AppError('MFA_REQUIRED');
      // Clients of this service know no workspaces: whoever has chosen none begins in the one that everybody belongs to.
      const { accessToken, refreshToken, user } =
        'selectionToken' in answer
          ? await client.selectWorkspace({ body: { selectionToken: answer.selectionToken, workspaceId } })
          : answer;
      return { accessToken, refreshToken, user };
    },
    async refresh(refreshToken) {
      const tokens = await client.refreshSession({ body: { refreshToken } });
      return { accessToken: tokens.accessToken, refreshToken: tokens.refreshToken };
    },
    async logOutAll(token) {
      await client.logOutAll({}, { token });
    },
    async readProfile(token) {
      return userOf((await client.readProfile({}, { token })).user);
    },
    async findByEmail(token, email) {
      const found = await unlessUnknown(client.readUserByEmail({ params: { email } }, { token }));
      return found && userOf(found.user);
    },
    hasWorkspace: async (token, id) =>
      (await unlessUnknown(client.readWorkspace({ params: { workspaceId: id } }, { token }))) !== undefined,
    connections: () => client.connections(),
    close: () => client.close(),
  };
}

/** Undefined for what auth does not know, or cannot know because nothing can be called that. */
async function unlessUnknown<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof AppError && (error.code === 'NOT_FOUND' || error.code === 'VALIDATION_FAILED'))
      return undefined;
    throw error;
  }
}

const userOf = ({
  _id,
  username,
  email,
  isVerified,
  role,
}: Omit<AuthUser, 'id'> & { _id: AuthUser['id'] }): AuthUser => ({
  id: _id,
  username,
  email,
  isVerified,
  role,
});
