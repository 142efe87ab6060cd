import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  accounting,
  auth,
  chat,
  KEY_SCOPES,
  type OperationSpec,
  PERMISSIONS,
  type Role,
  type ServiceName,
} from '@tollgate/contracts';
import {
  badCallsOf,
  callJson,
  cellsOf,
  examplePath,
  type Person,
  type Platform,
  REACHES,
  startPlatform,
} from '@tollgate/test-kit';
import { reachesOf, setStage, type Stage } from './stage.ts';

let platform: Platform;
let accessTokens: Record<Role, string> & { outsider: string; apiKey: string };
let stage: Stage;
beforeAll(async () => {
  platform = await startPlatform();
  const [enduser, supervisor] = await Promise.all([
    platform.user({ credits: 0, assign: false }),
    platform.user({ credits: 0, assign: false, role: 'supervisor' }),
  ]);
  accessTokens = {
    enduser: enduser.accessToken,
    supervisor: supervisor.accessToken,
    admin: platform.admin.accessToken,
    outsider: '',
    apiKey: await keyOf(platform.admin),
  };
  stage = await setStage(platform);
  accessTokens.outsider = stage.outsider.accessToken;
}, 120_000);
afterAll(() => platform.stop());

async function keyOf(owner: Person): Promise<string> {
  const body = { name: 'every scope', scopes: KEY_SCOPES, currentPassword: owner.password };
  const answer = await owner.auth<{ key: string }>('POST', '/api/api-keys', body);
  return answer.body.key;
}

const operationsOf = (contract: object): OperationSpec[] =>
  Object.values(contract).filter(
    (value): value is OperationSpec => typeof value === 'object' && value !== null && 'permission' in value,
  );

/** A problem has its code at the top; an error in OpenAI's language inside. */
const codeIn = (body: Record<string, unknown>): unknown => body['code'] ?? Object(body['error']).code;

/** Mounted only when testing helpers are switched on. */
const isMounted = (operation: OperationSpec): boolean => !operation.path.startsWith('/api/testing');

describe.each([
  ['auth', 'auth', auth],
  ['accounting', 'accounting', accounting],
  ['chat-proxy', 'chatProxy', chat],
] as const)('%s', (service: ServiceName, url, contract) => {
  it.each(
    operationsOf(contract)
      .filter(isMounted)
      .map((operation) => [`${operation.method} ${operation.path}`, operation] as const),
  )('%s refuses every caller it is not for, before it looks at the request', async (_name, operation) => {
    for (const { caller, status, code, headers } of await badCallsOf(
      operation,
      service,
      platform.tokens,
      accessTokens,
    )) {
      const answer = await callJson(operation.method, platform.urls[url] + examplePath(operation), { headers });
      expect({ caller, status: answer.status, code: codeIn(answer.body) }).toEqual({ caller, status, code });
    }
  });

  it.each(
    operationsOf(contract)
      .filter((operation) => isMounted(operation) && PERMISSIONS[operation.permission] !== 'anyone')
      .map((operation) => [`${operation.method} ${operation.path}`, operation] as const),
  )('%s lets in whom the page says it lets in', async (_name, operation) => {
    const cells = cellsOf(operation, service);
    const { enduser, supervisor, admin, apiKey } = accessTokens;
    const callers = { 'end user': enduser, supervisor, admin, 'API key': apiKey } as const;
    for (const [caller, credential] of Object.entries(callers)) {
      const isMeant = cells[caller as keyof typeof callers] === 'yes'; // its own key
      // Nothing that a key may do ends an account or a session; for the others reading is enough.
      if (!isMeant || (caller !== 'API key' && operation.method !== 'GET')) continue;
      // A parameter that no operation knows: whoever is let in has sent something wrong, or finds nothing.
      const address = `${platform.urls[url]}${examplePath(operation)}?no-such=parameter`;
      const { status } = await callJson(operation.method, address, { token: credential });
      expect({ caller, isLetIn: status !== 401 && status !== 403 }).toEqual({ caller, isLetIn: true });
    }
  });
});

describe('an admin of another workspace', () => {
  it.each(Object.keys(REACHES))(
    'finds by %s nothing of a workspace that is not theirs, and changes nothing there',
    async (id) => {
      const call = reachesOf(stage)[id];
      if (!call) throw new Error(`say in stage.ts how somebody would reach out by ${id}`);
      const before = await stage.state();
      const { service, method, path, body } = call;
      const headers = { authorization: `Bearer ${stage.outsider.accessToken}`, 'idempotency-key': randomUUID() };
      const answer = await callJson(method, platform.urls[service] + path, {
        headers,
        ...(body !== undefined && { body }),
      });
      expect([id, answer.status]).toEqual([id, REACHES[id] === '404' ? 404 : 200]);
      // A refusal repeats the id that the caller sent; a list must not know it.
      const hidden = answer.status === 200 ? [...stage.secrets, stage.member.userId] : stage.secrets;
      for (const secret of hidden) expect(JSON.stringify(answer.body)).not.toContain(secret);
      expect(await stage.state()).toEqual(before);
    },
  );
});
