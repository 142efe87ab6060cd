import { keptPorts } from '../free-ports.ts';
import { type Ports, startEdge } from './nginx.ts';

/** Where each service is called, and where its processes listen. */
export interface Doors {
  readonly ports: Ports<number>;
  readonly instances: Ports<readonly number[]>;
  /** Environment that every service needs behind these doors. */
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** With TOLLGATE_TEST_EDGE=nginx there are two processes of each service behind one nginx, else each service is its own door. */
export async function openDoors(): Promise<Doors> {
  const [auth = 0, accounting = 0, chatProxy = 0, origin = 0, ...rest] = await keptPorts(10);
  const ports = { auth, accounting, chatProxy };
  if (process.env.TOLLGATE_TEST_EDGE !== 'nginx') {
    const instances = { auth: [auth], accounting: [accounting], chatProxy: [chatProxy] };
    return { ports, instances, environment: {}, close: () => Promise.resolve() };
  }
  const instances = { auth: rest.slice(0, 2), accounting: rest.slice(2, 4), chatProxy: rest.slice(4, 6) };
  const edge = await startEdge({ instances, doors: ports, origin });
  return { ports, instances, environment: { TRUST_PROXY_HOPS: '1' }, close: () => edge.stop() };
}
