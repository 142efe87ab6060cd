import type { ServiceName } from '@tollgate/contracts';
import { type FakeFlowise, startFakeFlowise } from '../fakes/fake-flowise.ts';
import { type FakeOpenAi, startFakeOpenAi } from '../fakes/fake-openai.ts';
import { type SmtpSink, startSmtpSink } from '../mail/smtp-sink.ts';
import { createTestTokens, type TestTokens } from '../tokens.ts';
import { createLedgerDatabase, mongoDatabaseUrl, type TestDatabase } from './databases.ts';
import { openDoors } from './edge/doors.ts';
import { type RunningService, together } from './edge/together.ts';
import type { Urls } from './person.ts';
import { poolDatabase } from './pooler.ts';
import { type ServiceEnvironments, serviceEnvironments } from './service-environments.ts';
import { ServiceProcess } from './service-process.ts';
import { namedSecrets, randomSecrets } from './world-secrets.ts';

export interface WorldOptions {
  /** Extra environment of single services. */
  readonly auth?: Readonly<Record<string, string>>;
  readonly accounting?: Readonly<Record<string, string>>;
  readonly chatProxy?: Readonly<Record<string, string>>;
  /** Private keys as PEM: access tokens are signed with EdDSA, and the other services fetch the public keys from auth. */
  readonly privateKeys?: string;
  /** Where the fakes of AI servers listen, for something that stands between; the system's choice when absent. */
  readonly fakePorts?: { readonly flowise: number; readonly openai: number };
  /** The hold's lease; renewals, checkpoints and sweepers scale with it. 60 when absent. */
  readonly leaseSeconds?: number;
  /** Puts something between the services and what they depend on: gives the environments to start them with. */
  readonly reroute?: (environments: ServiceEnvironments) => Promise<ServiceEnvironments>;
}

/** Three service processes, their databases, and fakes for the world outside. */
export interface World {
  readonly urls: Urls;
  readonly services: Readonly<Record<'auth' | 'accounting' | 'chatProxy', RunningService>>;
  readonly environments: ServiceEnvironments;
  readonly database: TestDatabase;
  readonly flowise: FakeFlowise;
  readonly openai: FakeOpenAi;
  readonly mails: SmtpSink;
  readonly tokens: TestTokens;
  stop(): Promise<void>;
}

const MODELS = ['fake-small', 'priced'];

/** Where nothing comes between the services and what they depend on, no test depends on how fast they answer one another. */
const PATIENCE = '30s';
const PATIENT: Record<keyof ServiceEnvironments, Record<string, string>> = {
  auth: { MONGO_OPERATION_TIMEOUT: PATIENCE },
  accounting: { DB_ACQUIRE_TIMEOUT: PATIENCE },
  chatProxy: { ACCOUNTING_TIMEOUT: PATIENCE, MONGO_OPERATION_TIMEOUT: PATIENCE },
};

export async function startWorld(options: WorldOptions): Promise<World> {
  const [database, doors, flowise, openai, mails] = await Promise.all([
    createLedgerDatabase(),
    openDoors(),
    startFakeFlowise({ port: options.fakePorts?.flowise ?? 0 }),
    startFakeOpenAi({ models: MODELS, port: options.fakePorts?.openai ?? 0 }),
    startSmtpSink({}),
  ]);
  const pooled = await poolDatabase(database.serviceUrl);
  const secrets = randomSecrets();
  const direct = serviceEnvironments({
    ports: doors.ports,
    secrets: { ...secrets, ...namedSecrets(secrets) },
    postgres: { service: pooled.url, owner: database.url },
    mongo: { auth: mongoDatabaseUrl(), chatProxy: mongoDatabaseUrl() },
    smtpUrl: mails.smtpUrl,
    flowise: { url: flowise.url, apiKey: flowise.apiKey },
    openai: { url: openai.url, apiKey: 'fake', models: MODELS },
    test: { leaseSeconds: options.leaseSeconds ?? 60 },
  });
  const environments = (await options.reroute?.(direct)) ?? direct;
  const running = (name: ServiceName, key: keyof ServiceEnvironments): RunningService => {
    const env = {
      ...environments[key],
      ...(!options.reroute && PATIENT[key]),
      ...doors.environment,
      ...(key === 'accounting' && pooled.environment),
      ...keysOf(key, options, doors.ports.auth),
      ...options[key],
    };
    const processes = doors.instances[key].map(
      (port) => new ServiceProcess({ name, port, env: { ...env, PORT: String(port) } }),
    );
    return together(`http://127.0.0.1:${doors.ports[key]}`, processes);
  };
  const services = {
    auth: running('auth', 'auth'),
    accounting: running('accounting', 'accounting'),
    chatProxy: running('chat-proxy', 'chatProxy'),
  };
  await Promise.all(Object.values(services).map((service) => service.start()));
  return {
    urls: { auth: services.auth.url, accounting: services.accounting.url, chatProxy: services.chatProxy.url },
    services,
    environments,
    database,
    flowise,
    openai,
    mails,
    tokens: createTestTokens({
      accessSecret: secrets.access,
      refreshSecret: secrets.refresh,
      serviceSecret: secrets.service,
      ...(options.privateKeys !== undefined && { privateKeys: options.privateKeys }),
    }),
    stop: async () => {
      const ends = await Promise.allSettled(Object.values(services).map((service) => service.end('SIGTERM')));
      await Promise.all([doors.close(), pooled.close(), flowise.stop(), openai.stop(), mails.stop()]);
      await database.drop();
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    },
  };
}

/** What replaces the shared secret of access tokens; an empty value counts as absent. */
function keysOf(service: keyof ServiceEnvironments, { privateKeys }: WorldOptions, authPort: number) {
  if (privateKeys === undefined) return {};
  const keys =
    service === 'auth'
      ? { JWT_PRIVATE_KEYS: privateKeys }
      : { JWT_JWKS_URL: `http://127.0.0.1:${authPort}/.well-known/jwks.json` };
  return { JWT_ALG: 'EdDSA', JWT_ACCESS_SECRET: '', ...keys };
}
