import { setTimeout as pause } from 'node:timers/promises';
import type { Role } from '@tollgate/contracts';
import {
  createTestTokens,
  type FakeFlowise,
  type FakeOpenAi,
  mongoDatabaseUrl,
  newUserId,
  startFakeFlowise,
  startFakeOpenAi,
} from '@tollgate/test-kit';
import { type Db, MongoClient } from 'mongodb';
import { request } from 'undici';
import { buildApp } from '../src/app.ts';
import { readEnvironment } from '../src/config.ts';
import { createDeps, type Deps } from '../src/deps.ts';
import { migrate } from '../src/migrate.ts';
import { type AccountingDouble, type AuthDouble, SECRETS, startAccounting, startAuth } from './neighbours.ts';

export const tokens = createTestTokens(SECRETS);

export interface ProxyOptions {
  readonly env?: Readonly<Record<string, string>>;
}

interface PersonOptions {
  readonly balance?: number;
  readonly role?: Role;
}

export interface Person {
  readonly userId: string;
  readonly token: string;
  readonly call: ReturnType<typeof caller>;
}

export interface Proxy {
  readonly url: string;
  readonly deps: Deps;
  readonly accounting: AccountingDouble;
  readonly auth: AuthDouble;
  readonly flowise: FakeFlowise;
  readonly openai: FakeOpenAi;
  readonly db: Db;
  readonly admin: Person;
  person(options?: PersonOptions): Promise<Person>;
  stop(): Promise<void>;
}

/** The service on a real socket and a real database, with its neighbours and upstreams beside it. */
export async function startProxy({ env = {} }: ProxyOptions = {}): Promise<Proxy> {
  const [accounting, auth, flowise, openai] = await Promise.all([
    startAccounting(),
    startAuth(),
    startFakeFlowise(),
    startFakeOpenAi({ models: ['priced'] }),
  ]);
  const mongoUrl = mongoDatabaseUrl();
  const config = readEnvironment({
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    MONGODB_URI: mongoUrl,
    JWT_ACCESS_SECRET: `k1:${SECRETS.accessSecret}`,
    JWT_SERVICE_SECRET: `k1:${SECRETS.serviceSecret}`,
    AUTH_API_URL: auth.url,
    ACCOUNTING_API_URL: accounting.url,
    FLOWISE_API_URL: flowise.url,
    FLOWISE_API_KEY: flowise.apiKey,
    OPENAI_BASE_URL: openai.url,
    OPENAI_MODELS: 'priced',
    OPENAI_MODELS_PUBLIC: 'true',
    UPSTREAM_FIRST_BYTE_TIMEOUT: '600ms',
    UPSTREAM_IDLE_TIMEOUT: '400ms',
    HEARTBEAT_INTERVAL: '100ms',
    HOLD_RENEW_INTERVAL: '100ms',
    CHECKPOINT_INTERVAL: '50ms',
    JOURNAL_LEASE: '1s',
    SESSION_LEASE: '1s',
    LEFTOVERS_INTERVAL: '50ms',
    ...env,
  });
  await migrate(config);
  const deps = await createDeps(config);
  const app = await buildApp(deps.app);
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  await deps.start();
  const client = new MongoClient(mongoUrl);
  const db = client.db();

  async function person({ balance = 1000, role = 'enduser' }: PersonOptions = {}): Promise<Person> {
    const userId = newUserId();
    accounting.balances.set(userId, balance);
    const token = await tokens.access({ userId, role });
    return { userId, token, call: caller(url, token) };
  }

  const admin = await person({ role: 'admin' });
  await untilOk(() => admin.call('POST', '/api/v1/admin/chatflows/sync'));
  for (const id of [flowise.chain.id, flowise.agentflow.id])
    await admin.call('PATCH', `/api/v1/admin/chatflows/${id}`, { is_public: true });

  return {
    url,
    deps,
    accounting,
    auth,
    flowise,
    openai,
    db,
    admin,
    person,
    async stop() {
      await deps.close();
      await app.close();
      await client.close();
      await Promise.all([accounting.close(), auth.close(), flowise.stop(), openai.stop()]);
    },
  };
}

const caller =
  (url: string, token: string) =>
  async <T = Record<string, unknown>>(method: 'GET' | 'POST' | 'DELETE' | 'PATCH', path: string, body?: unknown) => {
    const response = await request(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    return { status: response.statusCode, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as T };
  };

async function untilOk(ask: () => Promise<{ status: number }>): Promise<void> {
  await until(async () => (await ask()).status === 200);
}

/** Looks again until it is so; for states that background tasks reach in their own time. */
export async function until(isSo: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`not so within ${withinMs} ms: ${isSo.toString()}`);
    await pause(10);
  }
}
