import { randomUUID } from 'node:crypto';
import type { Person, Platform } from '@tollgate/test-kit';

/** Something of a workspace in every place, and somebody who leads another one. */
export type Stage = Readonly<{
  workspaceId: string;
  invitationId: string;
  sessionId: string;
  transactionId: number;
  member: Person;
  /** Leads another workspace, and is logged in there. */
  outsider: Person;
  /** What must not be in an answer to the outsider. */
  secrets: readonly string[];
  /** What an outsider could have changed. */
  state(): Promise<unknown>;
}>;

export async function setStage(platform: Platform): Promise<Stage> {
  const { admin, books } = platform;
  const [workspaceId, otherId] = [await found(admin, 'Plum orchard'), await found(admin, 'Elsewhere')];
  const member = await platform.user({ credits: 20 });
  const outsider = await platform.user({ credits: 0, assign: false });
  await join(platform, workspaceId, member, 'enduser');
  await join(platform, otherId, outsider, 'admin');
  const inside = await member.in(workspaceId);
  const answer = await inside.chat({ question: 'A secret of the orchard', chatflow_id: platform.chatflows.chain });
  const sessionId = String((await answer.toEnd()).data('session_id'));
  await platform.untilNoOpenHold(member.userId);
  const { body: invited } = await admin.auth<{ invitation: { id: string } }>(
    'POST',
    `/api/workspaces/${workspaceId}/invitations`,
    { email: `${randomUUID()}@example.test` },
  );
  const [booked] = await books.query<{ id: number }>(
    `SELECT max(id)::int AS id FROM credit_transactions WHERE user_id = '${member.userId}'`,
  );
  const ofWorkspace = async (rest: string) => (await admin.auth('GET', `/api/workspaces/${workspaceId}${rest}`)).body;
  return {
    workspaceId,
    invitationId: invited.invitation.id,
    sessionId,
    transactionId: Number(booked?.id),
    member,
    outsider: await outsider.in(otherId),
    secrets: [member.username, 'Plum orchard', 'secret of the orchard'],
    state: async () => [
      await ofWorkspace(''),
      await ofWorkspace('/members'),
      await ofWorkspace('/invitations'),
      (await inside.chatProxy('GET', `/api/v1/chat/sessions/${sessionId}/history`)).body,
      await books.ofUser(member.userId),
    ],
  };
}

/** A new workspace of somebody who may found one. */
export async function found(admin: Person, name: string): Promise<string> {
  const { body } = await admin.auth<{ workspace: { id: string } }>('POST', '/api/workspaces', { name });
  return body.workspace.id;
}

/** Makes somebody a member, by a mailed invitation. */
export async function join(platform: Platform, workspaceId: string, person: Person, role: string): Promise<void> {
  const known = new Set(platform.mails.mails(person.email));
  const invitation = { email: person.email, role };
  await platform.admin.auth('POST', `/api/workspaces/${workspaceId}/invitations`, invitation);
  const isNew = (mail: { subject: string }) => !known.has(mail as never) && mail.subject.includes('invited');
  const mail = await platform.mails.waitForMail(person.email, isNew);
  const token = /token: (\S+)/.exec(mail.text)?.[1];
  const { status } = await person.auth('POST', '/api/workspaces/invitations/accept', { token });
  if (status !== 200) throw new Error(`joining was refused with ${status}`);
}

type Reach = Readonly<{ service: 'auth' | 'accounting' | 'chatProxy'; method: string; path: string; body?: unknown }>;

/** How somebody would reach for it, by the id of each operation that could. */
export const reachesOf = (stage: Stage): Readonly<Record<string, Reach>> => ({
  ...workspaceReaches(stage),
  ...creditReaches(stage),
  readHistory: { service: 'chatProxy', method: 'GET', path: `/api/v1/chat/sessions/${stage.sessionId}/history` },
  deleteSession: { service: 'chatProxy', method: 'DELETE', path: `/api/v1/chat/sessions/${stage.sessionId}` },
  renameSession: {
    service: 'chatProxy',
    method: 'PATCH',
    path: `/api/v1/chat/sessions/${stage.sessionId}`,
    body: { title: 'Mine now' },
  },
  exportSession: { service: 'chatProxy', method: 'GET', path: `/api/v1/chat/sessions/${stage.sessionId}/export` },
  exportSessions: { service: 'chatProxy', method: 'GET', path: '/api/v1/chat/export?format=json' },
  listSessions: { service: 'chatProxy', method: 'GET', path: '/api/v1/chat/sessions' },
  listSessionFiles: { service: 'chatProxy', method: 'GET', path: `/api/v1/chat/files/session/${stage.sessionId}` },
  deleteHistory: { service: 'chatProxy', method: 'DELETE', path: '/api/v1/chat/history' },
});

function workspaceReaches({ workspaceId, invitationId, member, outsider }: Stage): Record<string, Reach> {
  const to = (method: string, rest: string, body?: unknown): Reach => ({
    service: 'auth',
    method,
    path: `/api/workspaces/${workspaceId}${rest}`,
    ...(body !== undefined && { body }),
  });
  return {
    readWorkspace: to('GET', ''),
    updateWorkspace: to('PATCH', '', { name: 'Mine now' }),
    leaveWorkspace: to('POST', '/leave'),
    transferWorkspace: to('POST', '/transfer', { userId: outsider.userId }),
    listMembers: to('GET', '/members'),
    changeMemberRole: to('PUT', `/members/${member.userId}`, { role: 'admin' }),
    removeMember: to('DELETE', `/members/${member.userId}`),
    inviteMember: to('POST', '/invitations', { email: outsider.email, role: 'admin' }),
    listInvitations: to('GET', '/invitations'),
    revokeInvitation: to('DELETE', `/invitations/${invitationId}`),
    switchWorkspace: { service: 'auth', method: 'POST', path: '/api/auth/switch-workspace', body: { workspaceId } },
    listWorkspaces: { service: 'auth', method: 'GET', path: '/api/workspaces' },
  };
}

function creditReaches({ member, transactionId }: Stage): Record<string, Reach> {
  const { userId } = member;
  const to = (method: string, path: string, body?: unknown): Reach => ({
    service: 'accounting',
    method,
    path: `/api/${path}`,
    ...(body !== undefined && { body }),
  });
  return {
    readBalanceOfUser: to('GET', `credits/balance/${userId}`),
    allocateCredits: to('POST', 'credits/allocate', { userId, credits: 1 }),
    setCredits: to('POST', 'credits/set', { userId, credits: 1 }),
    removeCredits: to('DELETE', 'credits/remove', { userId, credits: 1, notes: 'mine' }),
    adjustCredits: to('PUT', 'credits/adjust', { userId, adjustment: 1, notes: 'mine' }),
    explainTransaction: to('GET', `credits/transactions/${transactionId}/explain`),
    readUsageOfUser: to('GET', `usage/stats/${userId}`),
    listUsageOfUser: to('GET', `usage/records/${userId}`),
    reportUsage: to('GET', `usage/report?userId=${userId}`),
    listActiveSessionsOfUser: to('GET', `streaming-sessions/active/${userId}`),
    listRecentSessionsOfUser: to('GET', `streaming-sessions/recent/${userId}`),
    listAllocations: to('GET', 'credits/allocations/all'),
    listRecentSessions: to('GET', 'streaming-sessions/recent?minutes=60'),
  };
}
