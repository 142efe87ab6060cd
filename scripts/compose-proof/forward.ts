import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** What is for this machine alone, for its containers too: passes every connection on to a port of 127.0.0.1. */
export const forward = (port: number): Server => passingTo(() => connect(port, '127.0.0.1'));

/** Speaks TLS for whoever connects to a door that has this name and this certificate, which signs itself. */
export const forwardTls = (port: number, servername: string, ca: string): Server =>
  passingTo(() => connectTls({ port, host: '127.0.0.1', servername, ca }));

const passingTo = (open: () => Socket): Server =>
  createServer((outside) => {
    const inside = open();
    for (const [from, to] of [[outside, inside] as const, [inside, outside] as const]) {
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  });
