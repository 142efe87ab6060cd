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
  const { body: key } = await admin.auth<{ apiKey?: { id: string }; id?: string }>('POST', '/api/api-keys', {
    name: 'Fuzzed',
    scopes: ['chat:use'],
    currentPassword: admin.password,
  });
  const limit = { scope: 'user', subject: null, measure: 'credits', window: 'month', amount: 2_000_000_000 };
  const { body: made } = await admin.accounting<{ limit?: { id: string }; id?: string }>('POST', '/api/limits', limit);
  const { body: history } = await enduser.chatProxy<{ messages?: { id: string }[] }>(
    'GET',
    `/api/v1/chat/sessions/${sessionId}/history`,
  );
  const rows = ['1', '2', '3', '0', '9223372036854775807'];
  const flows = Object.values(platform.chatflows);
  const userId = [...victims.map((victim) => victim.userId), '000000000000000000000000'];
  const email = [...victims.map((victim) => victim.email), 'nobody@example.test'];
  return {
    userId,
    email,
    keyId: idsIn(key),
    limitId: idsIn(made),
    messageId: idsIn(history),
    request_id: idsIn(history),
    'chatflows/:id': flows,
    'prediction/:id': flows,
    'chatmessage/:id': flows,
    'attachments/:id': flows,
    'chatflows-streaming/:id': flows,
    'public-chatbotConfig/:id': flows,
    'upsert/:id': flows,
    'feedback/:id': [...flows, ...idsIn(history)],
    'abort/:id': flows,
    'transactions/:id': rows,
    'allocations/:id': rows,
    'users/:id': userId,
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

/** Whatever looks like an id in an answer. */
const idsIn = (answer: unknown): string[] =>
  [...new Set([...JSON.stringify(answer).matchAll(/"\w*[iI]d":"([^"]{8,64})"/g)].map(([, id = '']) => id))].slice(0, 8);
