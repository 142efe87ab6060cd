import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { accounting, auth, chat, type OperationSpec, type Role, type ServiceName } from '@tollgate/contracts';
import { badCallsOf, callJson, examplePath, type Platform, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
let accessTokens: Record<Role, string>;
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
  };
}, 120_000);
afterAll(() => platform.stop());

const operationsOf = (contract: object): OperationSpec[] =>
  Object.values(contract).filter(
    (value): value is OperationSpec => typeof value === 'object' && value !== null && 'permission' in value,
  );

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
      expect({ caller, status: answer.status, code: answer.body['code'] }).toEqual({ caller, status, code });
    }
  });
});
