import { setTimeout as pause } from 'node:timers/promises';
import { type Fleet, type ServiceKey, type ServiceProcess } from '@tollgate/test-kit';
import type { Balancer } from './balancer.ts';

/** One process that was told to stop, and its successor. */
export interface Restart {
  readonly service: string;
  readonly code: number | null;
  readonly exitSeconds: number;
  /** From the signal until the load balancer gave its successor connections. */
  readonly readySeconds: number;
}

export const SERVICES: readonly ServiceKey[] = ['auth', 'accounting', 'chatProxy'];

/** Restarts one process after the other, each once the one before is back, until this is over. */
export async function roll(
  { services }: Pick<Fleet, 'services'>,
  balancers: Readonly<Record<ServiceKey, Balancer>>,
  { rounds, isOver, told }: { rounds: number; isOver: () => boolean; told: (restart: Restart) => void },
): Promise<Restart[]> {
  const round = SERVICES.flatMap((key) => services[key].map((service) => ({ service, balancer: balancers[key] })));
  const restarts: Restart[] = [];
  for (let at = 0; at < rounds * round.length && !isOver(); at += 1) {
    const next = round[at % round.length];
    if (!next) break;
    const restart = await restartOne(next.service, next.balancer);
    told(restart);
    restarts.push(restart);
  }
  return restarts;
}

/** One that takes longer is told in the report, by the figure. */
const LONGEST_START_SECONDS = 120;
const LOOKED_EVERY_MS = 50;

async function restartOne(service: ServiceProcess, balancer: Balancer): Promise<Restart> {
  const began = performance.now();
  const seconds = (): number => Math.round((performance.now() - began) / 100) / 10;
  const code = await service.end('SIGTERM');
  const exitSeconds = seconds();
  await service.launch();
  const port = Number(new URL(service.url).port);
  while (!balancer.isReady(port) && seconds() < LONGEST_START_SECONDS) await pause(LOOKED_EVERY_MS);
  return { service: service.name, code, exitSeconds, readySeconds: seconds() };
}
