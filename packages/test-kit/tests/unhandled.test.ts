import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { freePorts, ServiceProcess } from '@tollgate/test-kit';

const WATCH = new URL('../jest/unhandled.mjs', import.meta.url).href;

/** What a runner ends with that takes no notice of how its worker ends. */
async function runnerOf(worker: string): Promise<{ code: number; said: string }> {
  const args = ['--import', WATCH, '--eval'];
  const runner = `require('node:child_process').spawnSync(process.execPath, ${JSON.stringify([...args, worker])}, { stdio: 'ignore' })`;
  const done = promisify(execFile)(process.execPath, [...args, runner], { env: { PATH: process.env.PATH } });
  return done.then(
    ({ stderr }) => ({ code: 0, said: stderr }),
    ({ code, stderr }: { code: number; stderr: string }) => ({ code, said: stderr }),
  );
}

describe('an error that nobody handles', () => {
  it.each([
    ['thrown', 'setTimeout(() => { throw new Error("a lost one") })'],
    ['rejected', 'Promise.reject(new Error("a lost one"))'],
  ])('in a worker of the tests fails the run, although its runner passes over it: %s', async (_, worker) => {
    const { code, said } = await runnerOf(worker);
    expect([code, said]).toEqual([1, expect.stringContaining('Error: a lost one')]);
    expect(await runnerOf('setTimeout(() => {})')).toEqual({ code: 0, said: '' });
  });

  it('in a service that a test has started fails the test when it stops the service', async () => {
    const [port = 0] = await freePorts(1);
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent('setTimeout(() => { throw new Error("lost") })')}`;
    const service = new ServiceProcess({ name: 'auth', port, env: { NODE_OPTIONS } });
    await service.launch();
    await expect(service.untilAlive()).rejects.toThrow('did not answer');
    await expect(service.end('SIGTERM')).rejects.toThrow('auth met an error that nobody handled');
  });
});
