import { fork } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from '@jest/globals';
import { watching } from '../scripts/bench/stage/probe.ts';

const PROBE = new URL('../scripts/bench/programs/probe.ts', import.meta.url).href;
/** Says whether something that nobody holds any more is still in memory. */
const PROGRAM = `data:text/javascript,const held = new WeakRef({}); process.on('message', () => process.send(held.deref() !== undefined)); process.send('ready');`;

it.each([
  ['leaves the garbage of a process alone', {}, true],
  ['collects it where memory is asked for', { PROBE_COLLECTS: 'true' }, false],
])('the probe of the event loop %s', async (_, env, isThere) => {
  const child = fork('.', [], {
    execArgv: ['--disable-warning=ExperimentalWarning', `--import=${PROBE}`, `--import=${PROGRAM}`, '--eval', '0'],
    env: { PATH: process.env.PATH, ...env },
  });
  const isHeld = async (): Promise<unknown> => {
    const answer = once(child, 'message');
    child.send('and?');
    return (await answer)[0];
  };
  try {
    await once(child, 'message');
    const { seen, result } = await watching(child.pid ?? 0, isHeld);
    expect([result, await isHeld(), seen.heapUsed > 0]).toEqual([true, isThere, true]);
  } finally {
    child.kill('SIGKILL');
  }
});
