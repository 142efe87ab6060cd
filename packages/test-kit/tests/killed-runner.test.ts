import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { eventually } from '../src/platform/eventually.ts';
import { serviceEnvironments } from '../src/platform/service-environments.ts';
import { namedSecrets, randomSecrets } from '../src/platform/world-secrets.ts';

const STARTER = fileURLToPath(new URL('fixtures/starts-service.ts', import.meta.url));
const NOWHERE = 'http://127.0.0.1:9';

it('a service ends with the run that has started it, even when that is killed', async () => {
  const secrets = randomSecrets();
  const { accounting } = serviceEnvironments({
    ports: { auth: 9, accounting: 9, chatProxy: 9 },
    secrets: { ...secrets, ...namedSecrets(secrets) },
    postgres: { service: 'postgres://x:x@127.0.0.1:9/x', owner: 'postgres://x:x@127.0.0.1:9/x' },
    mongo: { auth: 'mongodb://127.0.0.1:9/x', chatProxy: 'mongodb://127.0.0.1:9/x' },
    smtpUrl: 'smtp://127.0.0.1:9',
    flowise: { url: NOWHERE, apiKey: 'none' },
    openai: { url: NOWHERE, apiKey: 'none', models: ['none'] },
    test: { leaseSeconds: 60 },
  });
  const runner = spawn(process.execPath, ['--conditions=tollgate', STARTER, JSON.stringify(accounting)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(runner.stdout), 'line')) as [string];
  const pid = Number(line);
  expect(isThere(pid)).toBe(true);
  runner.kill('SIGKILL');
  try {
    await eventually(async () => (isThere(pid) ? undefined : true), 'the end of the service');
  } finally {
    if (isThere(pid)) process.kill(pid, 'SIGKILL');
  }
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
