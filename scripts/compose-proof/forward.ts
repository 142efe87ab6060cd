import { connect, createServer, type Server } from 'node:net';

/** What is for this machine alone, for its containers too: passes every connection on to a port of 127.0.0.1. */
export const forward = (port: number): Server =>
  createServer((outside) => {
    const inside = connect(port, '127.0.0.1');
    for (const [from, to] of [[outside, inside] as const, [inside, outside] as const]) {
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  });
