import { parentPort, workerData } from 'node:worker_threads';
import { type ChaosProxy, startChaosProxy } from '../../chaos-proxy.ts';
import type { LinkAddresses, LinkName, LinkOrder, LinkReport, LinkTargets } from './links.ts';

const port = parentPort;
if (!port) throw new Error('this is the thread of the links of a fleet');

const targets = workerData as LinkTargets; // its maker's word
const started = await Promise.all(
  Object.entries(targets).map(async ([name, target]) => [name, await startChaosProxy({ target })] as const),
);
const links = new Map(started);

const say = (report: LinkReport): void => port.postMessage(report);

function carryOut(link: ChaosProxy, { act, value }: LinkOrder): unknown {
  switch (act) {
    case 'latency':
    case 'bandwidth':
    case 'slice':
      return link[act](Number(value));
    case 'resetAfter':
      return link.resetAfter(value === undefined ? undefined : Number(value));
    case 'blackhole':
    case 'refuse':
      return link[act](value === true);
    case 'resetAll':
    case 'stop':
      return link[act]();
  }
}

port.on('message', async (order: LinkOrder) => {
  const { link: name, step } = order;
  const link = links.get(name);
  let fault: string | undefined;
  try {
    if (!link) throw new RangeError(`there is no link ${name}`);
    await carryOut(link, order);
  } catch (error) {
    fault = String(error);
  }
  if (step !== undefined) say({ step, fault });
});

const addresses = Object.fromEntries(started.map(([name, { port: at, url }]) => [name, { port: at, url }]));
say({ addresses: addresses as Record<LinkName, LinkAddresses[LinkName]> });
