import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What stands before the processes of a service, as a reverse proxy does: each new request goes to the newest one. */
export interface Relay {
  readonly url: string;
  /** New requests go to this port; those under way stay where they are. */
  lead(port: number): void;
  stop(): Promise<void>;
}

export async function startRelay(): Promise<Relay> {
  let target = 0;
  const server = createServer((incoming, answer) => pass(incoming, answer, target));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // of a TCP server
  return {
    url: `http://127.0.0.1:${port}`,
    lead: (to) => void (target = to),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** On a connection of its own: one that is kept may be closed by a process that ends, just when it is used. */
function pass(incoming: IncomingMessage, answer: ServerResponse, port: number): void {
  const { method, url: path, headers } = incoming;
  const onward = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  onward.on('response', (response) => {
    const { connection: _, ...rest } = response.headers;
    answer.writeHead(response.statusCode ?? 502, rest);
    response.on('error', () => answer.destroy());
    response.pipe(answer);
  });
  onward.on('error', () => answer.destroy());
  answer.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
