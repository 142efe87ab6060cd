import type { Answer, Auth, LoggedIn } from '../auth.ts';
import { tokenIn } from '../auth.ts';

/** The claims of an access token, read without a key. */
export const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>; // ours

export type Call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;

export const as =
  (auth: Auth, { accessToken: token }: { accessToken: string }): Call =>
  (method, path, body, headers) =>
    auth.call(method, path, { token, ...(body !== undefined && { body }), ...(headers && { headers }) });

/** The parsed answer; what is in it is what the tests say. */
export const json = (answer: Answer): Shown => JSON.parse(answer.text) as Shown;

type Named = { id: string; name: string; role: string; status: string; isDefault: boolean; email: string };
type Shown = {
  code: string;
  workspace: Named;
  workspaces: Named[];
  member: { userId: string; role: string };
  members: { userId: string; username: string; role: string }[];
  invitation: Named;
  invitations: Named[];
  selectionToken: string;
  accessToken: string;
  refreshToken: string;
  nextCursor: string | null;
  changes: { workspaceId: string; userId: string; role: string | null; version: number; changedAt: string }[];
  user: Record<string, unknown>;
  now: string;
};

/** A workspace of an administrator of the installation, who owns it. */
export async function newWorkspace(auth: Auth, owner: LoggedIn, name = 'Research'): Promise<string> {
  const made = await as(auth, owner)('POST', '/api/workspaces', { name });
  if (made.status !== 201) throw new Error(`the workspace was refused: ${made.text}`);
  return json(made).workspace.id;
}

/** Invites somebody and gives the token out of the mail. */
export async function invite(
  auth: Auth,
  inviter: { accessToken: string },
  to: { workspaceId: string; email: string; role?: string },
): Promise<string> {
  const { workspaceId, email, role = 'enduser' } = to;
  const earlier = new Set(auth.mails.mails(email));
  const answer = await as(auth, inviter)('POST', `/api/workspaces/${workspaceId}/invitations`, { email, role });
  if (answer.status !== 201) throw new Error(`the invitation was refused: ${answer.text}`);
  return tokenIn(await auth.mails.waitForMail(email, (mail) => !earlier.has(mail) && mail.subject.includes('invited')));
}

export const accept = (auth: Auth, who: { accessToken: string }, token: string): Promise<Answer> =>
  as(auth, who)('POST', '/api/workspaces/invitations/accept', { token });

/** A new account that is a member with a role, logged in to the default workspace. */
export async function join(auth: Auth, inviter: LoggedIn, workspaceId: string, role = 'enduser'): Promise<LoggedIn> {
  const person = await auth.loggedIn(role);
  const answer = await accept(auth, person, await invite(auth, inviter, { workspaceId, email: person.email, role }));
  if (answer.status !== 200) throw new Error(`joining was refused: ${answer.text}`);
  return person;
}

/** Logs in to one workspace. */
export async function inWorkspace(auth: Auth, person: LoggedIn, workspaceId: string): Promise<LoggedIn> {
  const { username, password } = person;
  const { status, body, text } = await auth.post('/api/auth/login', { username, password, workspaceId });
  if (status !== 200) throw new Error(`login answered ${status}: ${text}`);
  return { ...person, accessToken: body.accessToken, refreshToken: body.refreshToken };
}
