import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ServiceName } from '@tollgate/contracts';
import { openServiceRole } from '@tollgate/dev-databases';
import { type FakeFlowise, startFakeFlowise } from '../../fakes/fake-flowise.ts';
import { type FakeOpenAi, startFakeOpenAi } from '../../fakes/fake-openai.ts';
import { type SmtpSink, startSmtpSink } from '../../mail/smtp-sink.ts';
import { createTestTokens, type TestTokens } from '../../tokens.ts';
import { keptPorts } from '../free-ports.ts';
import type { Urls } from '../person.ts';
import { type Installation, type ServiceEnvironments, serviceEnvironments } from '../service-environments.ts';
import { ServiceProcess } from '../service-process.ts';
import { namedSecrets, randomSecrets } from '../world-secrets.ts';
import { type Links, type LinkTargets, startLinks } from './links.ts';
import { type OwnDatabase, startOwnDatabase } from './own-database.ts';

export type ServiceKey = keyof ServiceEnvironments;

export interface FleetOptions {
  /** How many processes of each service; one when absent. */
  readonly instances?: Readonly<Partial<Record<ServiceKey, number>>>;
  /** Extra environment of single services. */
  readonly env?: Readonly<Partial<Record<ServiceKey, Readonly<Record<string, string>>>>>;
  /** The hold's lease; renewals, checkpoints and sweepers scale with it. 60 when absent. */
  readonly leaseSeconds?: number;
  readonly models?: readonly string[];
  /** Databases are reached directly: for proofs that do not disturb them. */
  readonly hasDirectDatabases?: boolean;
  /** Puts something before the processes of a service, such as a load balancer: gives the ports to call instead of theirs. */
  readonly front?: (ports: Readonly<Record<ServiceKey, number[]>>) => Promise<Readonly<Record<ServiceKey, number[]>>>;
}

/**
 * Several processes of each service on database servers of their own, every connection between them through a proxy that can
 * disturb it. Everything in it may be killed and started again.
 */
export interface Fleet {
  /** Where clients call: each connection goes to the next process. */
  readonly urls: Urls;
  readonly links: Links;
  readonly services: Readonly<Record<ServiceKey, readonly ServiceProcess[]>>;
  /** Of each service's first process, with the databases undisturbed. */
  readonly environments: ServiceEnvironments;
  readonly postgres: OwnDatabase;
  readonly mongo: OwnDatabase;
  /** Accounting's database as its owner, undisturbed. */
  readonly databaseUrl: string;
  readonly flowise: FakeFlowise;
  readonly openai: FakeOpenAi;
  readonly mails: SmtpSink;
  readonly tokens: TestTokens;
  /** Moves the clock of one process so far from the real time. */
  setClock(service: ServiceKey, instance: number, offsetMs: number): Promise<void>;
  stop(): Promise<void>;
}

const NAMES: Readonly<Record<ServiceKey, ServiceName>> = {
  auth: 'auth',
  accounting: 'accounting',
  chatProxy: 'chat-proxy',
};
const DEFAULT_MODELS = ['fake-small', 'priced'];

export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const { models = DEFAULT_MODELS } = options;
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-fleet-'));
  const [postgres, mongo, flowise, openai, mails] = await Promise.all([
    startOwnDatabase('postgres', join(folder, 'postgres')),
    startOwnDatabase('mongo', join(folder, 'mongo')),
    startFakeFlowise({}),
    startFakeOpenAi({ models: [...models] }),
    startSmtpSink({}),
  ]);
  const ports = await portsOf(options);
  const front = (await options.front?.(ports)) ?? ports;
  const links = await startLinks(targetsOf({ ports: front, postgres, mongo, flowise, openai }));
  const secrets = randomSecrets();
  const serviceUrl = await openServiceRole(postgres.url, 'service', randomBytes(24).toString('base64url'));
  const installation = (at: number, isDisturbed: boolean): Installation => ({
    ports: { auth: ports.auth[at] ?? 0, accounting: ports.accounting[at] ?? 0, chatProxy: ports.chatProxy[at] ?? 0 },
    secrets: { ...secrets, ...namedSecrets(secrets) },
    ...databasesOf({ service: serviceUrl, owner: postgres.url, mongo: mongo.url }, isDisturbed ? links : undefined),
    smtpUrl: mails.smtpUrl,
    flowise: { url: links['proxy-flowise'].url, apiKey: flowise.apiKey },
    openai: { url: links['proxy-openai'].url, apiKey: 'fake', models },
    test: { leaseSeconds: options.leaseSeconds ?? 60 },
  });
  const instances = (key: ServiceKey): ServiceProcess[] =>
    ports[key].map((port, at) => {
      const own = serviceEnvironments(installation(at, options.hasDirectDatabases !== true))[key];
      const clock = { CLOCK_OFFSET_FILE: clockFile(folder, key, at) };
      const env = { ...own, ...peersOf(key, links), ...clock, ...options.env?.[key] };
      return new ServiceProcess({ name: NAMES[key], port, env });
    });
  const services = { auth: instances('auth'), accounting: instances('accounting'), chatProxy: instances('chatProxy') };
  const all = Object.values(services).flat();
  const stop = async (): Promise<void> => {
    for (const one of [...all, postgres, mongo]) one.signal('SIGCONT');
    await Promise.all(all.map(endInTime));
    await Promise.all([...Object.values(links), flowise, openai, mails].map((each) => each.stop()));
    await Promise.all([postgres.stop(), mongo.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all(all.map((service) => service.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    urls: {
      auth: links['clients-auth'].url,
      chatProxy: links['clients-proxy'].url,
      accounting: links['clients-accounting'].url,
    },
    links,
    services,
    environments: serviceEnvironments(installation(0, false)),
    postgres,
    mongo,
    databaseUrl: postgres.url,
    flowise,
    openai,
    mails,
    tokens: createTestTokens({
      accessSecret: secrets.access,
      refreshSecret: secrets.refresh,
      serviceSecret: secrets.service,
    }),
    setClock: (service, instance, offsetMs) => writeFile(clockFile(folder, service, instance), String(offsetMs)),
    stop,
  };
}

/** A service ends within 45 s of a SIGTERM, whatever has happened to it. */
const END_WITHIN_MS = 60_000;

async function endInTime(service: ServiceProcess): Promise<void> {
  const late = pause(END_WITHIN_MS, 'late', { ref: false });
  if ((await Promise.race([service.end('SIGTERM'), late])) !== 'late') return;
  await service.end('SIGKILL');
  throw new Error(
    `${service.name} did not end within ${END_WITHIN_MS / 1000} s of SIGTERM:\n${service.log.slice(-4000)}`,
  );
}

const clockFile = (folder: string, service: ServiceKey, instance: number): string =>
  join(folder, `clock-${service}-${instance}`);

async function portsOf({ instances }: FleetOptions): Promise<Record<ServiceKey, number[]>> {
  const { auth = 1, accounting = 1, chatProxy = 1 } = instances ?? {};
  const ports = await keptPorts(auth + accounting + chatProxy);
  return {
    auth: ports.slice(0, auth),
    accounting: ports.slice(auth, auth + accounting),
    chatProxy: ports.slice(auth + accounting),
  };
}

interface Ends {
  readonly ports: Readonly<Record<ServiceKey, number[]>>;
  readonly postgres: OwnDatabase;
  readonly mongo: OwnDatabase;
  readonly flowise: FakeFlowise;
  readonly openai: FakeOpenAi;
}

const targetsOf = ({ ports, postgres, mongo, flowise, openai }: Ends): LinkTargets => ({
  'clients-auth': ports.auth,
  'clients-accounting': ports.accounting,
  'clients-proxy': ports.chatProxy,
  'services-auth': ports.auth,
  'services-accounting': ports.accounting,
  'accounting-postgres': [portOf(postgres.url)],
  'auth-mongo': [portOf(mongo.url)],
  'proxy-mongo': [portOf(mongo.url)],
  'proxy-flowise': [flowise.url],
  'proxy-openai': [openai.url],
});

function peersOf(key: ServiceKey, links: Links): Record<string, string> {
  const accounting = { ACCOUNTING_API_URL: links['services-accounting'].url };
  const auth = { AUTH_API_URL: links['services-auth'].url };
  return { auth: accounting, accounting: auth, chatProxy: { ...auth, ...accounting } }[key];
}

/** Through the links when there are any. */
function databasesOf(
  urls: { readonly service: string; readonly owner: string; readonly mongo: string },
  links: Links | undefined,
): Pick<Installation, 'postgres' | 'mongo'> {
  const port = links?.['accounting-postgres'].port ?? portOf(urls.owner);
  return {
    postgres: { service: through(urls.service, port), owner: through(urls.owner, port) },
    mongo: {
      auth: mongoUrl(urls.mongo, 'auth', links?.['auth-mongo'].port),
      chatProxy: mongoUrl(urls.mongo, 'chat_proxy', links?.['proxy-mongo'].port),
    },
  };
}

const portOf = (url: string): number => Number(new URL(url).port);

function through(url: string, port: number): string {
  const address = new URL(url);
  address.port = String(port);
  return address.href;
}

/** Directly, because the driver would else go round the proxy to the address under which the server knows itself. */
function mongoUrl(url: string, name: string, port: number | undefined): string {
  const address = new URL(port === undefined ? url : through(url, port));
  address.pathname = `/${name}`;
  address.search = '?directConnection=true';
  return address.href;
}
