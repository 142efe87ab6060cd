import { createServer } from 'node:net';
import { Trouble } from './progress.ts';

export const HOST = '127.0.0.1';

/** Whether a port of the loopback address can be had at this moment; 0 asks the operating system for one. */
function tryPort(port: number): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const server = createServer();
  server.once('error', () => resolve(undefined));
  server.listen({ port, host: HOST, exclusive: true }, () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
  });
  return promise;
}

/** The port of a service, or a sentence that says what to do when somebody else has it. */
export async function servicePort(service: string, variable: string, standard: number): Promise<number> {
  const wanted = Number(process.env[variable] ?? standard);
  const port = await tryPort(wanted);
  if (port !== undefined) return port;
  throw new Trouble(
    `Port ${wanted} for ${service} is taken by another program.\n` +
      `  See which:    lsof -nP -iTCP:${wanted} -sTCP:LISTEN   (or: ss -ltnp 'sport = :${wanted}')\n` +
      `  Or choose:    ${variable}=<another port> ./scripts/dev`,
  );
}

/** The preferred port when it is free, else any. */
export async function convenientPort(preferred: number): Promise<number> {
  return (await tryPort(preferred)) ?? (await tryPort(0)) ?? 0;
}
