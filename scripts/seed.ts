// Fills a fresh installation through its own interfaces: people, their credits, and the chatflows they may use.
// Everything is repeatable: accounts keep their passwords, credits are granted once per idempotency key.
import { callJson } from '@tollgate/test-kit/call-json';
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

  const token = await logIn(urls.auth, users.admin);
  for (const user of [users.supervisor, users.demo]) {
    const { id: sub, email, role, username } = user;
    const account = { sub, email, role, username };
    // 409 says that the account is there already.
    await expectOk('POST', `${urls.accounting}/api/admin/users`, { token, body: account }, 409);
    const grant = { userId: user.id, credits: DEMO_CREDITS, expiryDays: CREDIT_DAYS, notes: 'first credits' };
    const once = { 'idempotency-key': `first-credits-${user.id}` };
    await expectOk('POST', `${urls.accounting}/api/credits/allocate`, { token, body: grant, headers: once });
  }
  const admin = `${urls.chatProxy}/api/v1/admin/chatflows`;
  await expectOk('POST', `${admin}/sync`, { token });
  const chatflows = await expectOk<{ flowise_id: string; name: string }[]>('GET', admin, { token });
  const emails = [users.demo.email, users.supervisor.email];
  for (const { flowise_id } of chatflows) {
    await expectOk('POST', `${admin}/${encodeURIComponent(flowise_id)}/users/bulk-add`, { token, body: { emails } });
  }
  return { users, chatflows: chatflows.map(({ flowise_id, name }) => ({ id: flowise_id, name })) };
}

async function logIn(auth: string, { username, password }: SeededUser): Promise<string> {
  const body = { username, password };
  return (await expectOk<{ accessToken: string }>('POST', `${auth}/api/auth/login`, { body })).accessToken;
}

type Call = Parameters<typeof callJson>[2];

async function expectOk<T>(method: string, url: string, call: Call, tolerated?: number): Promise<T> {
  const { status, body } = await callJson<T>(method, url, call);
  if (status >= 300 && status !== tolerated)
    throw new Error(`${method} ${url} answered ${status}: ${JSON.stringify(body)}`);
  return body;
}
