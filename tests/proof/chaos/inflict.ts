import { setTimeout as pause } from 'node:timers/promises';
import { type Fleet, heal, type Link, LINKS } from '@tollgate/test-kit';
import type { Fault, FaultKind } from './fault-plan.ts';

/** Does it, waits, undoes it. */
export async function inflict(fleet: Fleet, fault: Fault): Promise<void> {
  const undo = await begin(fleet, fault);
  await pause(fault.forMs);
  await undo();
}

type Undo = () => Promise<void>;

async function begin(fleet: Fleet, fault: FaultKind): Promise<Undo> {
  switch (fault.kind) {
    case 'link':
      return disturb(fleet.links[fault.link], fault);
    case 'pause-database': {
      const database = fleet[fault.database];
      database.signal('SIGSTOP');
      return async () => database.signal('SIGCONT');
    }
    case 'kill-database': {
      const database = fleet[fault.database];
      // One in a container cannot be killed from here: nothing happens to it.
      if (!database.isOurs) return async () => undefined;
      database.signal('SIGKILL');
      return () => database.restart();
    }
    case 'clock': {
      await fleet.setClock(fault.service, fault.instance, fault.stepMs);
      return () => fleet.setClock(fault.service, fault.instance, 0);
    }
    case 'pause':
    case 'kill':
      return hit(fleet, fault);
  }
}

async function hit(fleet: Fleet, { kind, service, instance }: Extract<FaultKind, { kind: 'pause' | 'kill' }>) {
  const process = fleet.services[service][instance];
  if (!process) throw new RangeError(`there is no ${service} ${instance}`);
  if (kind === 'pause') {
    process.signal('SIGSTOP');
    return async () => process.signal('SIGCONT');
  }
  // What it had met before is told when it is ended for good.
  await process.end('SIGKILL').catch(() => undefined);
  // It is ready when what it needs is there; whether that is so now is another fault's business.
  return () => process.launch();
}

async function disturb(link: Link, fault: Extract<FaultKind, { kind: 'link' }>): Promise<Undo> {
  switch (fault.effect) {
    case 'latency':
      link.latency(fault.ms);
      break;
    case 'bandwidth':
      link.bandwidth(fault.bytesPerSecond);
      break;
    case 'slice':
      link.slice(fault.bytes);
      break;
    case 'reset-after':
      link.resetAfter(fault.bytes);
      break;
    case 'reset':
      link.resetAll();
      break;
    case 'black-hole':
      link.blackhole(true);
      // What was swallowed is lost: a connection that lacks it can only be cut.
      return async () => {
        link.resetAll();
        link.blackhole(false);
      };
    case 'refuse':
      await link.refuse(true);
  }
  return () => heal(link);
}

/** Everything runs again, at the right time, and every line is whole. */
export async function healAll(fleet: Fleet): Promise<void> {
  for (const name of LINKS) await heal(fleet.links[name]);
  for (const database of [fleet.postgres, fleet.mongo]) database.signal('SIGCONT');
  for (const [service, processes] of Object.entries(fleet.services)) {
    for (const [instance, process] of processes.entries()) {
      await fleet.setClock(service as keyof Fleet['services'], instance, 0);
      process.signal('SIGCONT');
    }
  }
  // Who never gets ready is told by the checks.
  await Promise.allSettled(
    Object.values(fleet.services)
      .flat()
      .map((service) => service.untilReady()),
  );
}
