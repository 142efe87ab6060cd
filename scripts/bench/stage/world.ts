import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevDatabase, openServiceRole, startMongo, startPostgres } from '@tollgate/dev-databases';
import {
  callJson,
  createTestTokens,
  freePorts,
  ServiceProcess,
  startSmtpSink,
  type TestTokens,
} from '@tollgate/test-kit';
import { type ServiceEnvironments, serviceEnvironments } from '@tollgate/test-kit/service-environments';
import { namedSecrets, randomSecrets } from '../../../packages/test-kit/src/platform/world-secrets.ts';
import { FAST, IDLE, PACED } from '../programs/wire.ts';
import type { Closers } from './closers.ts';
import { type Program, startProgram } from './program.ts';
import type { Part } from './usage.ts';

/** The services as in production, durable databases, the AI server and the floor: each a process of its own. */
export interface World {
  readonly auth: ServiceProcess;
  readonly accounting: ServiceProcess;
  readonly chatProxy: ServiceProcess;
  readonly upstream: Program;
  readonly floor: Program;
  readonly databases: Databases;
  readonly tokens: TestTokens;
  readonly environments: ServiceEnvironments;
}

interface Databases {
  readonly folder: string;
  readonly postgres: DevDatabase;
  readonly mongo: DevDatabase;
}

/** Limits that are on, as in production, and high enough not to be what is measured. */
const MANY = '1000000';
const PATIENT = '10m';

/** A machine that is busy with something else shall not make the services give up on one another. */
const WAIT = '30s';
/** Loaded into the services alone that a bench looks into: see probe.ts. */
const PROBE = { NODE_OPTIONS: `--import=${new URL('../programs/probe.ts', import.meta.url).href}` };

const PRODUCTION = { NODE_ENV: 'production', SHUTDOWN_DRAIN: '3s', SHUTDOWN_CLOSE: '5s' } as const;
const OWN: Readonly<Record<keyof ServiceEnvironments, Readonly<Record<string, string>>>> = {
  auth: {
    PUBLIC_BASE_URL: 'https://auth.example.test',
    MAIL_FROM: 'Tollgate <no-reply@example.test>',
    LIMIT_LOG_IN_PER_ADDRESS: `${MANY}/15m`,
    LIMIT_LOG_IN_PER_IDENTIFIER: `${MANY}/15m`,
    MONGO_OPERATION_TIMEOUT: WAIT,
    ...PROBE,
  },
  accounting: {
    MAIL_FROM: 'Tollgate <no-reply@example.test>',
    RATE_LIMIT_PER_USER: MANY,
    ALLOCATE_OPENS_ACCOUNTS: 'true',
    DB_ACQUIRE_TIMEOUT: WAIT,
  },
  chatProxy: {
    OPENAI_MODELS_PUBLIC: 'true',
    SYNC_ON_START: 'true',
    UPSTREAM_CONNECTIONS: '10000',
    UPSTREAM_FIRST_BYTE_TIMEOUT: PATIENT,
    UPSTREAM_IDLE_TIMEOUT: PATIENT,
    // Else the answer of a chain that says nothing more is whole, and over, while its stream is counted as open.
    FLOWISE_ENDING_TIMEOUT: PATIENT,
    ACCOUNTING_TIMEOUT: WAIT,
    MONGO_OPERATION_TIMEOUT: WAIT,
    ...PROBE,
  },
};

/** The processes that an answer of ours takes time of. */
export const ourParts = ({ chatProxy, accounting, databases }: World): readonly Part[] => [
  { name: 'proxy', pids: [chatProxy.pid ?? 0] },
  { name: 'accounting', pids: [accounting.pid ?? 0] },
  { name: 'PostgreSQL', pids: databases.postgres.pids },
  { name: 'MongoDB', pids: databases.mongo.pids },
];

async function startDatabases(closers: Closers, said: (text: string) => void): Promise<Databases> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-bench-'));
  closers.add(() => rm(folder, { recursive: true, force: true }));
  const { PATH, HOME, XDG_CACHE_HOME } = process.env;
  const options = { durable: true, endsWithCaller: true, env: { PATH, HOME, XDG_CACHE_HOME }, onProgress: said };
  const start = async (kind: typeof startPostgres, name: string): Promise<DevDatabase> => {
    const database = await kind({ ...options, dataDir: join(folder, name) });
    closers.add(() => database.stop());
    return database;
  };
  const [postgres, mongo] = await Promise.all([start(startPostgres, 'postgres'), start(startMongo, 'mongo')]);
  return { folder, postgres, mongo };
}

export async function startWorld(closers: Closers, said: (text: string) => void): Promise<World> {
  const databases = await startDatabases(closers, said);
  const upstream = await startProgram('upstream');
  closers.add(upstream.stop);
  const floor = await startProgram('pass-through', { UPSTREAM_URL: upstream.url });
  closers.add(floor.stop);
  const mails = await startSmtpSink({});
  closers.add(() => mails.stop());
  const secrets = randomSecrets();
  const environments = await environmentsFor(
    databases,
    { ...secrets, ...namedSecrets(secrets) },
    { upstream, smtpUrl: mails.smtpUrl },
  );
  const start = async (name: 'auth' | 'accounting' | 'chat-proxy', key: keyof ServiceEnvironments) => {
    const env = environments[key];
    const service = new ServiceProcess({ name, port: Number(env['PORT']), env, isBuilt: true });
    closers.add(() => service.end('SIGTERM'));
    // Whoever is alive and not ready yet gets as long again: the machine may be busy with something else.
    await service.start().catch(() => service.untilReady());
    said(`${name} is ready`);
    return service;
  };
  const [auth, accounting, chatProxy] = await Promise.all([
    start('auth', 'auth'),
    start('accounting', 'accounting'),
    start('chat-proxy', 'chatProxy'),
  ]);
  const tokens = createTestTokens({
    accessSecret: secrets.access,
    refreshSecret: secrets.refresh,
    serviceSecret: secrets.service,
  });
  const world = { auth, accounting, chatProxy, upstream, floor, databases, tokens, environments };
  await publishFlows(world);
  said('everything runs');
  return world;
}

type Secrets = Parameters<typeof serviceEnvironments>[0]['secrets'];

async function environmentsFor(
  { postgres, mongo }: Databases,
  secrets: Secrets,
  { upstream, smtpUrl }: { upstream: Program; smtpUrl: string },
): Promise<ServiceEnvironments> {
  const [auth = 0, accounting = 0, chatProxy = 0] = await freePorts(3);
  const service = await openServiceRole(postgres.url, 'service', randomBytes(24).toString('base64url'));
  const mongoUrl = (name: string): string => {
    const url = new URL(mongo.url);
    url.pathname = `/${name}`;
    return url.href;
  };
  const {
    auth: a,
    accounting: b,
    chatProxy: c,
  } = serviceEnvironments({
    ports: { auth, accounting, chatProxy },
    secrets,
    postgres: { service, owner: postgres.url },
    mongo: { auth: mongoUrl('auth'), chatProxy: mongoUrl('chat_proxy') },
    smtpUrl,
    flowise: { url: upstream.url, apiKey: randomBytes(24).toString('hex') },
    openai: {
      url: upstream.url,
      apiKey: randomBytes(24).toString('hex'),
      models: [FAST, PACED, IDLE].map(({ openai }) => openai),
    },
  });
  return {
    auth: { ...a, ...PRODUCTION, ...OWN.auth },
    accounting: { ...b, ...PRODUCTION, ...OWN.accounting },
    chatProxy: { ...c, ...PRODUCTION, ...OWN.chatProxy },
  };
}

/** Everybody may use the flows of the AI server. */
async function publishFlows({ chatProxy, tokens }: Pick<World, 'chatProxy' | 'tokens'>): Promise<void> {
  const token = await tokens.access({ role: 'admin' });
  await expectOk(callJson('POST', `${chatProxy.url}/api/v1/admin/chatflows/sync`, { token }));
}

/** For preparations, which must not fail. */
export async function expectOk<T extends { status: number }>(call: Promise<T>): Promise<T> {
  const answer = await call;
  if (answer.status >= 300) throw new Error(`the bench's preparation was refused: ${JSON.stringify(answer)}`);
  return answer;
}
