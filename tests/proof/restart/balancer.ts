import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Gives each connection to the next process that says it is ready, as load balancers do. */
export interface Balancer {
  readonly port: number;
  /** Connections for which no process was ready. */
  readonly refused: number;
  isReady(target: number): boolean;
  stop(): Promise<void>;
}

/** As often as a usual load balancer asks, and as impatiently. */
const ASKED_EVERY_MS = 1000;
const ANSWERED_WITHIN_MS = 3000;
/** One that does not answer may be busy; one that says no is believed at once. */
const SILENT_AT_MOST = 2;

export async function startBalancer(targets: readonly number[], told: (change: string) => void): Promise<Balancer> {
  const ready = new Set<number>();
  const silent = new Map<number, number>();
  const sockets = new Set<Socket>();
  let refused = 0;
  let turn = 0;

  async function ask(target: number): Promise<void> {
    const signal = AbortSignal.timeout(ANSWERED_WITHIN_MS);
    const answer = await fetch(`http://127.0.0.1:${target}/health/ready`, { signal }).catch(() => undefined);
    const said = (await answer?.text().catch(() => '')) ?? 'nothing';
    const silences = answer ? 0 : (silent.get(target) ?? 0) + 1;
    silent.set(target, silences);
    const was = ready.has(target);
    if (answer?.ok) ready.add(target);
    else if (answer || silences >= SILENT_AT_MOST) ready.delete(target);
    if (was !== ready.has(target)) told(`${target} ${was ? 'out' : 'in'}: ${said}`);
  }
  const asking = setInterval(() => void Promise.all(targets.map(ask)), ASKED_EVERY_MS);

  /** One that does not take the connection is passed over: nothing has been said yet. */
  async function join(client: Socket): Promise<void> {
    const left = targets.filter((target) => ready.has(target));
    turn += 1;
    for (let tries = 0; tries < left.length; tries += 1) {
      const server = await opened(left[(turn + tries) % left.length] ?? 0);
      if (!server) continue;
      sockets.add(server);
      return tie(client, server);
    }
    refused += 1;
    client.destroy();
  }

  const front = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
    sockets.add(client);
    client.on('close', () => sockets.delete(client));
    client.on('error', () => client.destroy());
    void join(client);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  return {
    port: (front.address() as AddressInfo).port, // a listening TCP server has an address object
    get refused() {
      return refused;
    },
    isReady: (target) => ready.has(target),
    async stop() {
      clearInterval(asking);
      front.close();
      for (const socket of sockets) socket.destroy();
      await once(front, 'close');
    },
  };
}

async function opened(port: number): Promise<Socket | undefined> {
  const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once('connect', () => resolve(true));
  server.once('error', () => resolve(false));
  return (await promise) ? server : undefined;
}

function tie(client: Socket, server: Socket): void {
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      if (!from.readableEnded) to.destroy();
    });
  }
}
