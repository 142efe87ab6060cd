import { randomBytes } from 'node:crypto';
import { freePorts, ServiceProcess } from '@tollgate/test-kit';
import { type Relay, startRelay } from './relay.ts';

type Service = 'auth' | 'accounting' | 'chatProxy';
const SERVICES = ['auth', 'accounting', 'chatProxy'] as const satisfies readonly Service[];

export type Environments = Readonly<Record<Service, Readonly<Record<string, string>>>>;

/** Every secret that is a list of keys, and which services read it. */
const RINGS: Readonly<Record<string, readonly Service[]>> = {
  JWT_ACCESS_SECRET: SERVICES,
  JWT_SERVICE_SECRET: SERVICES,
  JWT_REFRESH_SECRET: ['auth'],
  PASSWORD_PEPPER: ['auth'],
  TOKEN_HASH_SECRET: ['auth'],
  MFA_ENCRYPTION_KEYS: ['auth'],
  AUDIT_CHAIN_SECRET: ['auth'],
  AUDIT_ANCHOR_SECRET: ['auth'],
  LEDGER_SIGNING_SECRET: ['accounting'],
  METRICS_TOKEN: SERVICES,
};
const NAMES = { auth: 'auth', accounting: 'accounting', chatProxy: 'chat-proxy' } as const;
/** What proves the past is checked for ever, so its keys stay. */
const KEPT = ['AUDIT_CHAIN_SECRET', 'AUDIT_ANCHOR_SECRET', 'LEDGER_SIGNING_SECRET', 'PASSWORD_PEPPER'];

export const METRICS = { old: randomBytes(30).toString('hex'), new: randomBytes(30).toString('hex') };

/** The new key behind the old one, which still signs; before it; alone. */
export type Step = 'listed' | 'first' | 'alone';

/** A platform whose services are reached through relays, so that one process can take over from another. */
export interface Stage {
  environment(service: Service): Readonly<Record<string, string>>;
  start(): Promise<void>;
  /** Replaces the process of each service, one after the other, by one that knows the keys of this step; `during` sees to the traffic. */
  go(step: Exclude<Step, 'listed'>, during: (change: () => Promise<void>) => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

interface Relays {
  readonly relays: Readonly<Record<Service, Relay>>;
  /** For the services, which call each other through the relays. */
  readonly env: Environments;
  /** Sends everything to the processes of these environments. */
  lead(environments: Environments): void;
  stop(): Promise<void>;
}

export async function startRelays(): Promise<Relays> {
  const [auth, accounting, chatProxy] = await Promise.all([startRelay(), startRelay(), startRelay()]);
  const relays = { auth, accounting, chatProxy };
  const common = { METRICS_TOKEN: METRICS.old };
  const toAuth = { AUTH_API_URL: auth.url };
  const toAccounting = { ACCOUNTING_API_URL: accounting.url };
  return {
    relays,
    env: {
      auth: { ...common, ...toAccounting, AUDIT_ANCHOR_INTERVAL: '1s' },
      accounting: { ...common, ...toAuth, LEDGER_HEAD_INTERVAL: '1s' },
      chatProxy: { ...common, ...toAuth, ...toAccounting },
    },
    lead: (environments) => {
      for (const service of SERVICES) relays[service].lead(portIn(environments[service]));
    },
    stop: async () => void (await Promise.all(Object.values(relays).map((relay) => relay.stop()))),
  };
}

const portIn = (env: Readonly<Record<string, string>>): number => Number(env['PORT']);
const processOf = (service: Service, env: Readonly<Record<string, string>>): ServiceProcess =>
  new ServiceProcess({ name: NAMES[service], port: portIn(env), env });

/** One process of each service. They begin with the first step: it is the one that changes nothing for anybody. */
export function createStage(before: Environments, { relays, lead }: Relays): Stage {
  const added: Readonly<Record<string, string>> = {
    ...Object.fromEntries(Object.keys(RINGS).map((name) => [name, `new:${randomBytes(36).toString('base64url')}`])),
    METRICS_TOKEN: METRICS.new,
  };
  function keysAt(step: Step, service: Service): Record<string, string> {
    const names = Object.keys(RINGS).filter((name) => RINGS[name]?.includes(service));
    return Object.fromEntries(
      names.map((name) => {
        const [old = '', fresh = ''] = [before[service][name], added[name]];
        const last = KEPT.includes(name) ? [fresh, old] : [fresh];
        return [name, { listed: [old, fresh], first: [fresh, old], alone: last }[step].join(',')];
      }),
    );
  }

  const at = (step: Step, service: Service) => ({ ...before[service], ...keysAt(step, service) });
  let environments: Environments = {
    auth: at('listed', 'auth'),
    accounting: at('listed', 'accounting'),
    chatProxy: at('listed', 'chatProxy'),
  };
  const running: Record<Service, ServiceProcess> = {
    auth: processOf('auth', environments.auth),
    accounting: processOf('accounting', environments.accounting),
    chatProxy: processOf('chatProxy', environments.chatProxy),
  };

  return {
    environment: (service) => environments[service],
    async start() {
      await Promise.all(SERVICES.map((service) => running[service].start()));
      lead(before);
    },
    async go(step, during) {
      const ports = await freePorts(SERVICES.length);
      const next = SERVICES.map((service, place) => {
        const env = { ...at(step, service), PORT: String(ports[place]) };
        return { service, env, process: processOf(service, env) };
      });
      // They start side by side, because that takes the time; they take over one after the other.
      await Promise.all(next.map(({ process }) => process.start()));
      for (const { service, env, process } of next) {
        const former = running[service];
        running[service] = process;
        environments = { ...environments, [service]: env };
        await during(async () => {
          relays[service].lead(portIn(env));
          const code = await former.end('SIGTERM');
          if (code !== 0) throw new Error(`${service} ended with ${code}:\n${former.log.slice(-2000)}`);
        });
      }
    },
    stop: async () => void (await Promise.all(SERVICES.map((service) => running[service].end('SIGTERM')))),
  };
}
