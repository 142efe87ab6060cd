import {
  KeyScope,
  type OperationSpec,
  PERMISSIONS,
  type Role,
  ROLES,
  SERVICE_NAMES,
  type ServiceName,
} from '@tollgate/contracts';
import type { TestTokens } from './tokens.ts';

export interface BadCall {
  readonly caller: string;
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Every kind of caller that an operation must refuse, with the answer it must get. Nothing for public operations.
 * `accessTokens` are those of living accounts: auth looks at the account behind a token before it looks at the role. The
 * outsider leads another workspace, which makes a supervisor of its token. The API key is an administrator's, with every scope.
 */
export async function badCallsOf(
  operation: OperationSpec,
  service: ServiceName,
  tokens: TestTokens,
  accessTokens: Readonly<Record<Role, string> & { outsider?: string; apiKey?: string }>,
): Promise<BadCall[]> {
  const callers = PERMISSIONS[operation.permission];
  if (callers === 'anyone') return [];
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const elsewhere = service === 'accounting' ? 'chat-proxy' : 'accounting';
  const invalid = { status: 401, code: 'invalid_token' };
  const bad: BadCall[] = [
    { caller: 'nobody', status: 401, code: 'unauthenticated', headers: {} },
    { caller: 'somebody with an expired token', ...invalid, headers: bearer(await tokens.expired('admin')) },
    { caller: 'somebody with a refresh token', ...invalid, headers: bearer(await tokens.refresh()) },
    {
      caller: 'somebody with a token for the other services',
      ...invalid,
      headers: bearer(
        await tokens.access({ role: 'admin', audience: SERVICE_NAMES.filter((name) => name !== service) }),
      ),
    },
    { caller: 'somebody with nonsense', ...invalid, headers: bearer('a.b.c') },
    { caller: 'somebody with Basic credentials', ...invalid, headers: { authorization: 'Basic YTpi' } },
    {
      caller: 'a service with a token for another one',
      ...invalid,
      headers: bearer(await tokens.service('chat-proxy', elsewhere)),
    },
  ];
  const roles = callers === 'service' ? ROLES : ROLES.filter((role) => !(callers as readonly string[]).includes(role));
  const refusal = callers === 'service' ? 'service_token_required' : 'forbidden';
  for (const role of roles) bad.push({ caller: role, status: 403, code: refusal, headers: bearer(accessTokens[role]) });
  if (roles.includes('supervisor') && accessTokens.outsider !== undefined) {
    const headers = bearer(accessTokens.outsider);
    bad.push({ caller: 'an admin of another workspace', status: 403, code: refusal, headers });
  }
  if (accessTokens.apiKey !== undefined && !KeyScope.safeParse(operation.permission).success) {
    const code = callers === 'service' ? refusal : 'insufficient_scope';
    bad.push({ caller: 'an API key', status: 403, code, headers: { 'x-api-key': accessTokens.apiKey } });
  }
  return callers === 'service' ? bad : [...bad, await serviceCall(service, tokens)];
}

/** A service in its own name, where users are meant. To the proxy, which no service calls, its token is nonsense. */
async function serviceCall(service: ServiceName, tokens: TestTokens): Promise<BadCall> {
  const headers = {
    authorization: `Bearer ${await tokens.service(service === 'auth' ? 'accounting' : 'auth', service)}`,
  };
  return service === 'chat-proxy'
    ? { caller: 'a service', status: 401, code: 'invalid_token', headers }
    : { caller: 'a service', status: 403, code: 'forbidden', headers };
}

/** The operation's path with something of the right shape in every place. */
export const examplePath = (operation: OperationSpec): string =>
  operation.path.replaceAll(/:(\w+)/g, (_, name: string) => EXAMPLES[name] ?? '00000000-0000-4000-8000-000000000000');

const EXAMPLES: Readonly<Record<string, string>> = {
  userId: '0123456789abcdef01234567',
  email: 'nobody@example.test',
  type: 'email',
};
