import { randomBytes } from 'node:crypto';
import { freePorts, type Platform, ServiceProcess } from '@tollgate/test-kit';
import { type Relay, startRelay } from './relay.ts';

export type Service = 'auth' | 'accounting' | 'chatProxy';
export const SERVICES = ['auth', 'accounting', 'chatProxy'] as const satisfies readonly Service[];

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
  readonly relays: Readonly<Record<Service, Relay>>;
  readonly services: Record<Service, ServiceProcess>;
  environment(service: Service): Readonly<Record<string, string>>;
  /** Replaces the process of each service, one after the other, by one that knows the keys of this step; `during` sees to the traffic. */
  go(step: Step, during: (change: () => Promise<void>) => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

/** For `startPlatform`: neighbours call each other through the relays. */
export async function startRelays(): Promise<{
  relays: Record<Service, Relay>;
  env: Record<Service, Record<string, string>>;
}> {
  const [auth, accounting, chatProxy] = await Promise.all([startRelay(), startRelay(), startRelay()]);
  const common = { METRICS_TOKEN: METRICS.old };
  const often = { auth: { AUDIT_ANCHOR_INTERVAL: '1s' }, accounting: { LEDGER_HEAD_INTERVAL: '1s' } };
  const toAuth = { AUTH_API_URL: auth.url };
  const toAccounting = { ACCOUNTING_API_URL: accounting.url };
  return {
    relays: { auth, accounting, chatProxy },
    env: {
      auth: { ...common, ...often.auth, ...toAccounting },
      accounting: { ...common, ...often.accounting, ...toAuth },
      chatProxy: { ...common, ...toAuth, ...toAccounting },
    },
  };
}

export function createStage(platform: Platform, { relays, env }: Awaited<ReturnType<typeof startRelays>>): Stage {
  const services = { auth: platform.auth, accounting: platform.accounting, chatProxy: platform.chatProxy };
  for (const service of SERVICES) relays[service].lead(Number(new URL(services[service].url).port));
  const fresh = Object.fromEntries(
    Object.keys(RINGS).map((name) => [name, `new:${randomBytes(36).toString('base64url')}`]),
  );
  fresh['METRICS_TOKEN'] = METRICS.new;
  const before = (service: Service) => ({ ...platform.environments[service], ...env[service] });
  let environments = { auth: before('auth'), accounting: before('accounting'), chatProxy: before('chatProxy') };

  function keysAt(step: Step, service: Service): Record<string, string> {
    const names = Object.keys(RINGS).filter((name) => RINGS[name]?.includes(service));
    return Object.fromEntries(
      names.map((name) => {
        const [old = '', added = ''] = [before(service)[name], fresh[name]];
        const isKept = step === 'alone' && KEPT.includes(name);
        const rings = { listed: [old, added], first: [added, old], alone: isKept ? [added, old] : [added] };
        return [name, rings[step].join(',')];
      }),
    );
  }

  return {
    relays,
    services,
    environment: (service) => environments[service],
    async go(step, during) {
      const ports = await freePorts(SERVICES.length);
      const next = SERVICES.map((service, at) => {
        const own = { ...before(service), ...keysAt(step, service), PORT: String(ports[at]) };
        return { service, own, process: new ServiceProcess({ name: NAMES[service], port: ports[at] ?? 0, env: own }) };
      });
      // They start side by side, because that takes the time; they take over one after the other.
      await Promise.all(next.map(({ process }) => process.start()));
      for (const { service, own, process } of next) {
        const former = services[service];
        services[service] = process;
        environments = { ...environments, [service]: own };
        await during(async () => {
          relays[service].lead(Number(new URL(process.url).port));
          const code = await former.end('SIGTERM');
          if (code !== 0) throw new Error(`${service} ended with ${code}:\n${former.log.slice(-2000)}`);
        });
      }
    },
    async stop() {
      await Promise.all(SERVICES.map((service) => services[service].end('SIGTERM')));
      await Promise.all(Object.values(relays).map((relay) => relay.stop()));
    },
  };
}
