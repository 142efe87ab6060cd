import { type ChaosProxy, startChaosProxy } from '../../chaos-proxy.ts';

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
export type Links = Readonly<Record<LinkName, ChaosProxy>>;

export async function startLinks(targets: LinkTargets): Promise<Links> {
  const started = await Promise.all(
    LINKS.map(async (name) => [name, await startChaosProxy({ target: targets[name] })] as const),
  );
  return Object.fromEntries(started) as Record<LinkName, ChaosProxy>; // one for each name
}

/** Everything passes again, and what waited inside is cut. */
export async function heal(link: ChaosProxy): Promise<void> {
  link.latency(0);
  link.bandwidth(0);
  link.slice(0);
  link.resetAfter(undefined);
  link.blackhole(false);
  await link.refuse(false);
}
