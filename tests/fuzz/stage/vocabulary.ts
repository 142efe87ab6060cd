import { randomUUID } from 'node:crypto';
import type { Platform } from '@tollgate/test-kit';
import { type Callers, newAdmin } from './callers.ts';

/** Values that reach something on the platform, by the names of the fields they stand in. */
export async function knownValues(
  platform: Platform,
  { people }: Callers,
): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const { admin, enduser, supervisor } = people;
  const victims = await Promise.all([
    platform.user({ credits: 100 }),
    platform.user({ credits: 0, assign: false }),
    newAdmin(platform),
  ]);
  const call = await enduser.chat({ question: 'What shall be fuzzed?', chatflow_id: platform.chatflows.chain });
  const done = await call.toEnd();
  const sessionId = String(done.data('session_id'));
  const { body: space } = await admin.auth<{ workspace: { id: string } }>('POST', '/api/workspaces', { name: 'Fuzz' });
  const flows = Object.values(platform.chatflows);
  const userId = [...victims.map((victim) => victim.userId), '000000000000000000000000'];
  const email = [...victims.map((victim) => victim.email), 'nobody@example.test'];
  return {
    userId,
    email,
    username: [...victims.map(({ username }) => username), supervisor.username],
    chatflowId: flows,
    chatflow_id: flows,
    chatflow: flows,
    chatflowid: flows,
    model: ['fake-small', 'priced', platform.chatflows.chain],
    sessionId: [sessionId, randomUUID()],
    session_id: [sessionId],
    chatId: [sessionId],
    workspaceId: [space.workspace.id, 'default'],
    workspace_id: [space.workspace.id],
    upstream: ['flowise', 'openai'],
    currentPassword: [enduser.password, admin.password, 'wrong'],
    password: [enduser.password, 'Wrong-password-1'],
    credits: [1, 5, 0],
    amount: [1],
    adjustment: [1, -1],
    fence: [1],
    limit: ['1', '100'],
    question: ['Hello'],
  };
}
