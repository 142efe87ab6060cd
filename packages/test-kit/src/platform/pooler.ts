import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from './free-ports.ts';

/** A database as a service reaches it. */
export interface PooledDatabase {
  readonly url: string;
  /** What accounting has to be told about it. */
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const START_MS = 60_000;
const POLL_MS = 25;
/** PgBouncer refuses to run as root; any other user will do. */
const NOBODY = 65_534;

/**
 * With TOLLGATE_TEST_POOLER=pgbouncer a real PgBouncer in transaction mode stands before the database, with fewer connections
 * than the service opens; else the database itself.
 */
export async function poolDatabase(url: string): Promise<PooledDatabase> {
  if (process.env.TOLLGATE_TEST_POOLER !== 'pgbouncer') {
    return { url, environment: {}, close: () => Promise.resolve() };
  }
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-pooler-'));
  await chmod(folder, 0o755);
  await writeFile(join(folder, 'users.txt'), users(url));
  await writeFile(join(folder, 'pgbouncer.ini'), configuration({ url, port, folder }));
  const isRoot = process.getuid?.() === 0;
  const child = spawn('pgbouncer', ['--quiet', join(folder, 'pgbouncer.ini')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` },
    ...(isRoot && { uid: NOBODY, gid: NOBODY }),
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  await once(child, 'spawn');
  const end = performance.now() + START_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || performance.now() > end) throw new Error(`pgbouncer did not start: ${said}`);
    await pause(POLL_MS);
  }
  const pooled = new URL(url);
  pooled.host = `127.0.0.1:${port}`;
  return {
    url: pooled.href,
    environment: { DB_POOLING: 'transaction' },
    async close() {
      const exit = child.exitCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGTERM');
      await exit;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const users = (url: string): string => {
  const { username, password } = new URL(url);
  return `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`;
};

/** What docs/scaling.md asks for; everything else as it comes. */
function configuration({ url, port, folder }: { url: string; port: number; folder: string }): string {
  const { hostname, port: target } = new URL(url);
  return [
    '[databases]',
    `* = host=${hostname} port=${target}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'pool_mode = transaction',
    'auth_type = plain',
    `auth_file = ${folder}/users.txt`,
    'default_pool_size = 4',
    'max_client_conn = 500',
    '',
  ].join('\n');
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  const answer = await promise;
  socket.destroy();
  return answer;
}
