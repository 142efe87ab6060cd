import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ServiceEnvironments } from '../service-environments.ts';

export type Ports<T> = Readonly<Record<keyof ServiceEnvironments, T>>;

export interface EdgeOptions {
  /** The instances of each service. */
  readonly instances: Ports<readonly number[]>;
  /** Where nginx listens for each service. */
  readonly doors: Ports<number>;
  /** Where it listens for all three, by the routes of the public origin. */
  readonly origin: number;
}

/** A real nginx with the configuration that operators get (infra/nginx), before several instances of each service. */
export interface Edge {
  stop(): Promise<void>;
}

const SHIPPED = fileURLToPath(new URL('../../../../../infra/nginx/', import.meta.url));
const NAMES: Ports<string> = {
  auth: 'tollgate_auth',
  chatProxy: 'tollgate_chat_proxy',
  accounting: 'tollgate_accounting',
};
const KEYS = ['auth', 'chatProxy', 'accounting'] as const;
const START_MS = 30_000;
const POLL_MS = 25;

export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-edge-'));
  await symlink(SHIPPED, join(folder, 'tollgate'));
  await mkdir(join(folder, 'temporary'));
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, options));
  const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const stop = async (): Promise<void> => {
    await endOf(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await once(child, 'spawn');
    await untilListening(child, options.origin);
  } catch (cause) {
    await stop();
    throw new Error(`nginx did not start: ${said}`, { cause });
  }
  return { stop };
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  const end = performance.now() + START_MS;
  while (child.exitCode === null && performance.now() < end) {
    const answer = await fetch(`http://127.0.0.1:${port}/health/edge`).catch(() => undefined);
    if (answer?.ok) return;
    await pause(POLL_MS);
  }
  throw new Error(`nothing listens at ${port}`);
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

/** The shipped files do the work; only addresses and folders are of the test. */
function configuration(folder: string, { instances, doors, origin }: EdgeOptions): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${folder}/temporary/${name};`,
  );
  // Tests kill both instances and start them again: a failure must not be remembered.
  const servers = (ports: readonly number[]) => ports.map((port) => `    server 127.0.0.1:${port} max_fails=0;`);
  const upstreams = KEYS.flatMap((key) => [
    `  upstream ${NAMES[key]} {`,
    '    least_conn;',
    ...servers(instances[key]),
    '    keepalive 64;',
    '    keepalive_timeout 55s;',
    '  }',
  ]);
  const own = KEYS.map(
    (key) =>
      `  server { listen 127.0.0.1:${doors[key]}; location / { include tollgate/proxy.conf; proxy_pass http://${NAMES[key]}; } }`,
  );
  return [
    'daemon off;',
    'worker_processes 1;',
    `pid ${folder}/nginx.pid;`,
    'error_log stderr warn;',
    'events { worker_connections 4096; }',
    'http {',
    ...paths,
    '  access_log off;',
    '  include tollgate/http.conf;',
    ...upstreams,
    ...own,
    `  server { listen 127.0.0.1:${origin}; include tollgate/routes.conf; }`,
    '}',
    '',
  ].join('\n');
}
