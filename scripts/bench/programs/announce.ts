import type { AddressInfo } from 'node:net';

interface Listening {
  address(): AddressInfo | string | null;
}

/** Says to whoever started this process where it listens, and ends with it. */
export function announce(server: Listening): void {
  const address = server.address();
  process.stdout.write(`${JSON.stringify({ port: typeof address === 'object' ? address?.port : 0 })}\n`);
  process.on('SIGTERM', () => process.exit(0));
  process.on('disconnect', () => process.exit(0));
}
