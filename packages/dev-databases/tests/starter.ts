import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { isRunning, until } from '../src/processes.ts';

type Started = { url: string; pids: number[]; kill(): Promise<void> };

/** A process of its own that starts a database, so that it can be killed without a chance to tidy up. */
export async function startElsewhere(
  kind: 'documentdb' | 'postgres',
  folder: string,
  durability: string,
): Promise<Started> {
  const program = fileURLToPath(new URL('start-and-wait.ts', import.meta.url));
  const args = ['--conditions=tollgate', '--disable-warning=ExperimentalWarning', program, kind, folder, durability];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return {
    ...JSON.parse(line),
    kill: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

export async function expectAllEnd(pids: number[], timeoutMs: number): Promise<void> {
  const check = async () => (await Promise.all(pids.map(isRunning))).every((running) => !running) || undefined;
  await until(check, timeoutMs, `The end of processes ${pids.join(', ')}`);
}
