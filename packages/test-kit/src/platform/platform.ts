import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import type { Role } from '@tollgate/contracts';
import { type Books, type BooksOfUser, openBooks } from './books.ts';
import { createPostgresDatabase, mongoDatabaseUrl } from './databases.ts';
import { type FakeFlowise, startFakeFlowise } from '../fakes/fake-flowise.ts';
import { type FakeOpenAi, startFakeOpenAi } from '../fakes/fake-openai.ts';
import { callJson, Person, type Urls } from './person.ts';
import { seedAccounts, serviceEnvironments } from './service-environments.ts';
import { ServiceProcess } from './service-process.ts';
import { createTestTokens, type TestTokens } from '../tokens.ts';
import { type SmtpSink, startSmtpSink } from '../mail/smtp-sink.ts';

export interface PlatformOptions {
  /** Extra environment of single services. */
  readonly auth?: Readonly<Record<string, string>>;
  readonly accounting?: Readonly<Record<string, string>>;
  readonly chatProxy?: Readonly<Record<string, string>>;
  /** The hold's lease; renewals, checkpoints and sweepers scale with it. 60 when absent. */
  readonly leaseSeconds?: number;
}

/** The three services as processes of their own, with databases of their own and fakes for the world outside. */
export interface Platform {
  readonly urls: Urls;
  readonly auth: ServiceProcess;
  readonly accounting: ServiceProcess;
  readonly chatProxy: ServiceProcess;
  readonly flowise: FakeFlowise;
  readonly openai: FakeOpenAi;
  readonly mails: SmtpSink;
  readonly books: Books;
  readonly admin: Person;
  /** Tokens signed with this platform's secrets, for callers that need no account. */
  readonly tokens: TestTokens;
  /**
   * `chain` reports no usage and costs 1 credit, `agentflow` reports it; `model` has the default price,
   * `priced` costs 1 credit per output token and nothing else.
   */
  readonly chatflows: {
    readonly chain: string;
    readonly agentflow: string;
    readonly model: string;
    readonly priced: string;
  };
  /** Somebody new who has logged in, with this many credits and, unless `assign` is false, every chatflow. */
  user(options: { credits: number; assign?: boolean; role?: Role }): Promise<Person>;
  assignEverything(person: Person): Promise<void>;
  /** The books of a user once no hold of theirs is open. */
  untilNoOpenHold(userId: string): Promise<BooksOfUser>;
  /** Resolves when a running answer of the user has a checkpoint of at least so many output units. */
  untilCheckpoint(userId: string, output: number): Promise<void>;
  stop(): Promise<void>;
}

const POLL_MS = 20;
const PATIENCE_MS = 30_000;

/** Starts everything, with an admin, synchronised chatflows and a priced model. */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const [database, ports, flowise, openai, mails] = await Promise.all([
    createPostgresDatabase(),
    freePorts(3),
    startFakeFlowise(),
    startFakeOpenAi({ models: ['fake-small', 'priced'] }),
    startSmtpSink({}),
  ]);
  const [auth = 0, accounting = 0, chatProxy = 0] = ports;
  const mongo = { auth: mongoDatabaseUrl(), chatProxy: mongoDatabaseUrl() };
  const secrets = randomSecrets();
  const environments = serviceEnvironments({
    ports: { auth, accounting, chatProxy },
    secrets: {
      ...secrets,
      access: `k1:${secrets.access}`,
      refresh: `k1:${secrets.refresh}`,
      service: `k1:${secrets.service}`,
    },
    postgresUrl: database.url,
    mongo,
    smtpUrl: mails.smtpUrl,
    flowise: { url: flowise.url, apiKey: flowise.apiKey },
    openai: { url: openai.url, apiKey: 'fake', models: ['fake-small', 'priced'] },
    test: { leaseSeconds: options.leaseSeconds ?? 60 },
  });
  const services = {
    auth: new ServiceProcess({ name: 'auth', port: auth, env: { ...environments.auth, ...options.auth } }),
    accounting: new ServiceProcess({
      name: 'accounting',
      port: accounting,
      env: { ...environments.accounting, ...options.accounting },
    }),
    chatProxy: new ServiceProcess({
      name: 'chat-proxy',
      port: chatProxy,
      env: { ...environments.chatProxy, ...options.chatProxy },
    }),
  };
  await Promise.all(Object.values(services).map((service) => service.start()));
  const urls: Urls = {
    auth: services.auth.url,
    accounting: services.accounting.url,
    chatProxy: services.chatProxy.url,
  };
  const books = openBooks(database.url);
  const admin = await seededAdmin(environments.auth, urls);
  const chatflows = {
    chain: flowise.chain.id,
    agentflow: flowise.agentflow.id,
    model: 'model:fake-small',
    priced: 'model:priced',
  };
  await expectOk(admin.chatProxy('POST', '/api/v1/admin/chatflows/sync'));
  await expectOk(admin.accounting('POST', '/api/pricing', pricePerOutputToken));

  const assignEverything = async (person: Person): Promise<void> => {
    for (const id of Object.values(chatflows)) {
      await expectOk(
        admin.chatProxy('POST', `/api/v1/admin/chatflows/${encodeURIComponent(id)}/users`, { email: person.email }),
      );
    }
  };
  return {
    urls,
    ...services,
    flowise,
    openai,
    mails,
    books,
    admin,
    tokens: createTestTokens({
      accessSecret: secrets.access,
      refreshSecret: secrets.refresh,
      serviceSecret: secrets.service,
    }),
    chatflows,
    assignEverything,
    user: async ({ credits, assign = true, role = 'enduser' }) => {
      const person = await createPerson(admin, urls, role);
      if (assign) await assignEverything(person);
      // The first call with the person's own token opens the account that credits can be allocated to.
      await person.balance();
      if (credits > 0)
        await expectOk(admin.accounting('POST', '/api/credits/allocate', { userId: person.userId, credits }));
      return person;
    },
    untilNoOpenHold: (userId) =>
      eventually(async () => {
        const state = await books.ofUser(userId);
        return state.openHolds === 0 && state.terminalHolds > 0 ? state : undefined;
      }, `the holds of ${userId} to close`),
    untilCheckpoint: async (userId, output) => {
      await eventually(() => hasCheckpoint(books, userId, output), `a checkpoint of ${output} units`);
    },
    stop: async () => {
      await Promise.all(Object.values(services).map((service) => service.end('SIGTERM')));
      await Promise.all([flowise.stop(), openai.stop(), mails.stop(), books.close()]);
      await database.drop();
    },
  };
}

const pricePerOutputToken = { upstream: 'openai', model: 'priced', mode: 'metered', unitPrices: { output: 1_000_000 } };

async function hasCheckpoint(books: Books, userId: string, output: number): Promise<true | undefined> {
  const rows = await books.query<{ units: number }>(
    `SELECT (checkpoint->>'output')::int AS units FROM streaming_sessions WHERE user_id = $1 AND status = 'active' AND checkpoint IS NOT NULL`,
    [userId],
  );
  return rows.some(({ units }) => units >= output) ? true : undefined;
}

async function seededAdmin(authEnvironment: Readonly<Record<string, string>>, urls: Urls): Promise<Person> {
  const password = randomBytes(12).toString('base64url');
  const identity = { username: 'admin', email: 'admin@example.test', password };
  const [seeded] = await seedAccounts(authEnvironment, [{ ...identity, role: 'admin' }]);
  return new Person({ ...identity, userId: seeded?.id ?? '' }, urls).logIn();
}

async function createPerson(admin: Person, urls: Urls, role: Role): Promise<Person> {
  const id = randomUUID().slice(0, 13);
  const identity = {
    username: `user-${id}`,
    email: `user-${id}@example.test`,
    password: randomBytes(12).toString('base64url'),
  };
  const { body } = await expectOk(
    admin.auth<{ userId: string }>('POST', '/api/admin/users', {
      ...identity,
      role,
      skipVerification: true,
    }),
  );
  return new Person({ ...identity, userId: body.userId }, urls).logIn();
}

async function expectOk<T>(call: ReturnType<typeof callJson<T>>): Promise<Awaited<ReturnType<typeof callJson<T>>>> {
  const answer = await call;
  if (answer.status >= 300) throw new Error(`the platform's preparation was refused: ${JSON.stringify(answer)}`);
  return answer;
}

const randomSecret = (): string => randomBytes(48).toString('base64url');
const randomSecrets = () => ({
  access: randomSecret(),
  refresh: randomSecret(),
  service: randomSecret(),
  pepper: randomSecret(),
  tokenHash: randomSecret(),
});

/** Asks again until there is an answer; for states that other processes reach in their own time. */
async function eventually<T>(ask: () => Promise<T | undefined>, what: string): Promise<T> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`waited ${PATIENCE_MS / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Ports the operating system has free at this moment, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof createServer>>();
      const server = createServer().once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve(server));
      return promise;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
