// Run by the engine inside a container: ends with 0 when the service says it is ready. Needs no curl and no shell.
import process, { env } from 'node:process';
import { get } from 'node:http';

process.exitCode = 1;
const request = get({ host: '127.0.0.1', port: env.PORT, path: '/health/ready', timeout: 4_000 }, (response) => {
  process.exitCode = response.statusCode === 200 ? 0 : 1;
  response.destroy();
});
request.on('timeout', () => request.destroy());
request.on('error', () => undefined);
