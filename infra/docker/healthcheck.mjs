// Run by the engine inside a container: 0 when the service says it is ready. Needs no curl and no shell.
import { get } from 'node:http';

const request = get({ host: '127.0.0.1', port: process.env.PORT, path: '/health/ready', timeout: 4_000 }, ({ statusCode }) =>
  process.exit(statusCode === 200 ? 0 : 1),
);
request.on('error', () => process.exit(1));
request.on('timeout', () => process.exit(1));
