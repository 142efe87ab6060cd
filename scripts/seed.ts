// Fills a fresh installation through its own interfaces: people, their credits, and the chatflows they may use.
// Everything is repeatable: accounts keep their passwords, credits are granted once per idempotency key.
import { seedAccounts, type WantedUser } from '@tollgate/test-kit/service-environments';

export interface Target {
  readonly urls: { readonly auth: string; readonly accounting: string; readonly chatProxy: string };
  /** Environment of the auth service, for its seed command. */
  readonly authEnvironment: Readonly<Record<string, string>>;
  readonly passwords: { readonly admin: string; readonly supervisor: string; readonly demo: string };
}

export interface SeededUser extends WantedUser {
  readonly id: string;
}

export interface Seeded {
  readonly users: Readonly<Record<'admin' | 'supervisor' | 'demo', SeededUser>>;
  readonly chatflows: readonly { readonly id: string; readonly name: string }[];
}

const DEMO_CREDITS = 1000;
const CREDIT_DAYS = 3650;

/** An admin, a supervisor and a demo user with credits and all chatflows the AI servers offer. */
export async function seed({ urls, authEnvironment, passwords }: Target): Promise<Seeded> {
  const wanted = {
    admin: { username: 'admin', email: 'admin@example.test', password: passwords.admin, role: 'admin' },
    supervisor: {
      username: 'supervisor',
      email: 'supervisor@example.test',
      password: passwords.supervisor,
      role: 'supervisor',
    },
    demo: { username: 'demo', email: 'demo@example.test', password: passwords.demo, role: 'enduser' },
  } as const satisfies Record<string, WantedUser>;
  const accounts = await seedAccounts(authEnvironment, Object.values(wanted));
  const withId = (user: WantedUser): SeededUser => ({
    ...user,
    id: accounts.find(({ username }) => username === user.username)?.id ?? '',
  });
  const users = { admin: withId(wanted.admin), supervisor: withId(wanted.supervisor), demo: withId(wanted.demo) };

  const { accessToken } = await call<{ accessToken: string }>('POST', `${urls.auth}/api/auth/login`, undefined, {
    username: users.admin.username,
    password: users.admin.password,
  });
  for (const user of [users.supervisor, users.demo]) {
    await openAccount(urls.accounting, accessToken, user);
    const grant = { userId: user.id, credits: DEMO_CREDITS, expiryDays: CREDIT_DAYS, notes: 'first credits' };
    await call('POST', `${urls.accounting}/api/credits/allocate`, accessToken, grant, `seed-${user.id}`);
  }
  const admin = `${urls.chatProxy}/api/v1/admin/chatflows`;
  await call('POST', `${admin}/sync`, accessToken);
  const chatflows = await call<{ flowise_id: string; name: string }[]>('GET', admin, accessToken);
  for (const { flowise_id } of chatflows) {
    await call('POST', `${admin}/${encodeURIComponent(flowise_id)}/users/bulk-add`, accessToken, {
      emails: [users.demo.email, users.supervisor.email],
    });
  }
  return { users, chatflows: chatflows.map(({ flowise_id, name }) => ({ id: flowise_id, name })) };
}

/** 409 says that the account is there already. */
async function openAccount(
  accounting: string,
  token: string,
  { id, email, role, username }: SeededUser,
): Promise<void> {
  await call(
    'POST',
    `${accounting}/api/admin/users`,
    token,
    { sub: id, email, role, username },
    `seed-account-${id}`,
    [409],
  );
}

async function call<T>(
  method: string,
  url: string,
  token?: string,
  body?: unknown,
  key?: string,
  tolerated: readonly number[] = [],
): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(key !== undefined && { 'idempotency-key': key }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok && !tolerated.includes(response.status))
    throw new Error(`${method} ${url} answered ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}
