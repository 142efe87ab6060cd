import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run, until } from './programs.ts';

export interface Engine {
  readonly version: string;
  /** Ours, without a network: it cannot pull, and gets stand-ins for published images. */
  readonly isOwn: boolean;
  /** Environment of the programs that speak to it. */
  readonly env: NodeJS.ProcessEnv;
  docker(...args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts an engine with data of its own. This process is alone in a network of its own and may do with it what it likes. */
export async function startEngine(prepared: string, folder: string, data: string): Promise<Engine> {
  const root = join(prepared, 'engine/usr');
  await mkdir(folder, { recursive: true });
  const own = {
    PATH: `${join(root, 'sbin')}:${join(root, 'bin')}:${process.env['PATH']}`,
    LD_LIBRARY_PATH: join(root, 'lib/x86_64-linux-gnu'),
    XTABLES_LIBDIR: join(root, 'lib/x86_64-linux-gnu/xtables'),
  };
  await run('ip', ['link', 'set', 'lo', 'up'], process.env);
  const socket = `unix://${join(folder, 'docker.sock')}`;
  const paths = ['--data-root', data, '--exec-root', join(folder, 'exec-root')];
  const args = [...paths, '--pidfile', join(folder, 'dockerd.pid'), '--host', socket];
  const log = createWriteStream(join(folder, 'dockerd.log'));
  await once(log, 'open');
  const daemon = spawn('dockerd', args, { env: { ...process.env, ...own }, stdio: ['ignore', log, log] });
  const ended = once(daemon, 'exit');
  const env = {
    ...process.env,
    PATH: own.PATH,
    DOCKER_HOST: socket,
    DOCKER_CONFIG: join(prepared, 'config'),
  };
  const docker = (...words: readonly string[]) => run(join(root, 'bin/docker'), words, env);
  const version = await until(
    () => docker('version', '--format', '{{.Server.Version}}').catch(() => undefined),
    'the engine to answer',
  );
  return {
    version: version.trim(),
    isOwn: true,
    env,
    docker,
    stop: async () => {
      daemon.kill('SIGTERM');
      await ended;
    },
  };
}

/** The engine of this machine, which pulls what is published. */
export async function engineHere(): Promise<Engine> {
  const { env } = process;
  const docker = (...words: readonly string[]) => run('docker', words, env);
  const version = await docker('version', '--format', '{{.Server.Version}}');
  return { version: version.trim(), isOwn: false, env, docker, stop: () => Promise.resolve() };
}

/** Makes the images that others are built on or replaced by, from file systems. */
export async function importBases({ docker, env }: Engine, prepared: string): Promise<void> {
  const path = (first: string) => `ENV PATH=${first}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  const bases: readonly (readonly [string, readonly string[]])[] = [
    ['node', [path('')]],
    // It was fetched against the policies of the package manager outside, where there is a network to ask.
    ['tools', [path(''), 'ENV pnpm_config_trust_lockfile=true']],
    ['postgres', [path('/usr/lib/postgresql/18/bin:')]],
    ['nginx', [path('')]],
    ['prometheus', [path('')]],
  ];
  for (const [name, changes] of bases) {
    if ((await docker('image', 'ls', '--quiet', `tollgate-base/${name}`)) !== '') continue;
    const flags = changes.flatMap((change) => ['--change', change]).map((word) => `'${word}'`);
    const command = `tar -C "$1" -c . | docker import ${flags.join(' ')} - tollgate-base/${name}`;
    await run('/bin/sh', ['-c', command, 'import', join(prepared, name, '.')], env);
  }
}
