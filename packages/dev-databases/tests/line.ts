import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A TCP line to a local port that can be cut at the worst moment: after a request, just before its answer. */
export async function openLine(
  target: string,
): Promise<{ port: number; cutNextReply(): void; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const carriers = new Set<Socket>();
  let mustCut = false;
  const server = createServer((near) => {
    const far = connect(Number(target), '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => [near, far].forEach((each) => each.destroy()));
    }
    near.on('data', (chunk) => {
      // Only the connection that carries the next request is meant; others are the driver watching the server.
      if (mustCut) carriers.add(near);
      mustCut = false;
      far.write(chunk);
    });
    far.on('data', (chunk) => (carriers.has(near) ? near.destroy() : near.write(chunk)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cutNextReply: () => {
      mustCut = true;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
