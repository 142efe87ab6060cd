/**
 * The gateway as a process: one line of settings on stdin, one line with the port on stdout, then it serves until it
 * gets SIGTERM. Told to guard, it also ends when stdin does, which is when the process that started it is gone.
 */
import { once } from 'node:events';
import { stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline';

import { startGateway } from './documentdb-gateway/gateway.ts';
import type { GatewaySettings } from './documentdb-gateway/gateway.ts';

const CLOSE_LIMIT_MS = 3_000;

const lines = createInterface({ input: stdin });
const [line] = await once(lines, 'line');
const { endsWithCaller, ...settings } = JSON.parse(line) as GatewaySettings & { endsWithCaller: boolean };

const gateway = await startGateway(settings);
stdout.write(`${gateway.port}\n`);

const end = () => {
  setTimeout(() => process.exit(1), CLOSE_LIMIT_MS).unref();
  void gateway.close().then(() => process.exit(0));
};
process.once('SIGTERM', end);
process.once('SIGINT', end);
if (endsWithCaller) lines.once('close', end);
// Its reader may be gone long before this process.
stdout.on('error', () => undefined);
