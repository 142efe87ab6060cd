import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { ChaosProxy } from '../../chaos-proxy.ts';

/** What may be disturbed between two parts of a fleet. */
export const LINKS = [
  'clients-auth',
  'clients-accounting',
  'clients-proxy',
  'services-auth',
  'services-accounting',
  'accounting-postgres',
  'auth-mongo',
  'proxy-mongo',
  'proxy-flowise',
  'proxy-openai',
] as const;
export type LinkName = (typeof LINKS)[number];

/** Of several targets each connection takes the next, as behind a load balancer. */
export type LinkTargets = Readonly<Record<LinkName, readonly (string | number)[]>>;
export type Link = Omit<ChaosProxy, 'connections' | 'untilSwallowed'>;
export type Links = Readonly<Record<LinkName, Link>>;

/** What the thread of the links is told; `step` when it is to say that it is done. */
export interface LinkOrder {
  readonly link: LinkName;
  readonly act: keyof Omit<Link, 'port' | 'url'>;
  readonly value?: number | boolean | undefined;
  readonly step?: number;
}
export type LinkAddresses = Readonly<Record<LinkName, Pick<Link, 'port' | 'url'>>>;
export type LinkReport =
  | { readonly addresses: LinkAddresses }
  | { readonly step: number; readonly fault: string | undefined };

/**
 * In a thread of their own. An event loop takes one new connection in each of its turns: beside clients, upstreams and a whole
 * run's bookkeeping, connections waited a minute for a turn, and their clients with them.
 */
export async function startLinks(targets: LinkTargets): Promise<Links> {
  const worker = new Worker(fileURLToPath(new URL('./links-worker.ts', import.meta.url)), { workerData: targets });
  const [first] = (await once(worker, 'message')) as [LinkReport];
  if (!('addresses' in first)) throw new Error('the thread of the links said something else than where they are');
  const done = new Map<number, PromiseWithResolvers<void>>();
  worker.on('message', (report: LinkReport) => {
    if (!('step' in report)) return;
    const waiting = done.get(report.step);
    done.delete(report.step);
    if (report.fault === undefined) waiting?.resolve();
    else waiting?.reject(new Error(report.fault));
  });
  worker.on('exit', () => {
    for (const { reject } of done.values()) reject(new Error('the thread of the links has ended'));
  });
  let steps = 0;
  const order = (given: LinkOrder): void => worker.postMessage(given);
  const carryOut = (given: LinkOrder): Promise<void> => {
    const step = steps++;
    const waiting = Promise.withResolvers<void>();
    done.set(step, waiting);
    order({ ...given, step });
    return waiting.promise;
  };
  const running = new Set<LinkName>(LINKS);
  const linkOf = (link: LinkName): Link => ({
    ...first.addresses[link],
    latency: (value) => order({ link, act: 'latency', value }),
    bandwidth: (value) => order({ link, act: 'bandwidth', value }),
    slice: (value) => order({ link, act: 'slice', value }),
    resetAll: () => order({ link, act: 'resetAll' }),
    resetAfter: (value) => order({ link, act: 'resetAfter', value }),
    blackhole: (value) => order({ link, act: 'blackhole', value }),
    refuse: (value) => carryOut({ link, act: 'refuse', value }),
    async stop() {
      await carryOut({ link, act: 'stop' });
      running.delete(link);
      if (running.size === 0) await worker.terminate();
    },
  });
  return Object.fromEntries(LINKS.map((name) => [name, linkOf(name)])) as Record<LinkName, Link>; // one for each name
}

/** Everything passes again, and what waited inside is cut. */
export async function heal(link: Link): Promise<void> {
  link.latency(0);
  link.bandwidth(0);
  link.slice(0);
  link.resetAfter(undefined);
  link.blackhole(false);
  await link.refuse(false);
}
