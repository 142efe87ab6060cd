// Owns everything that runs: databases, mail sink, demo AI server and the three services, in this order; ends them in reverse.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { openServiceRole, startMongo, startPostgres } from '@tollgate/dev-databases';
import { startSmtpSink } from '@tollgate/test-kit/smtp-sink';
import { goodbye, welcome } from './banner.ts';
import { type RunningService, startService } from './children.ts';
import { environmentsOf } from './environments.ts';
import { paths } from './paths.ts';
import { ownSettings } from './own-settings.ts';
import { convenientPort, servicePort } from './ports.ts';
import { step, Trouble } from './progress.ts';
import { devSecrets } from './secrets.ts';
import { seed } from '../seed.ts';
import { claimPid, type DevState, releasePid, writeState } from './state.ts';
import { upstreamsFrom } from './upstreams.ts';

const MAIL_PORT = 8025;
const watch = process.argv.includes('--watch');
const closers: (() => Promise<unknown>)[] = [];
let stopping = false;

/** Writes the present process ids into dev.json, once there is one; again whenever a service was restarted. */
let running: { readonly state: DevState; readonly services: readonly RunningService[] } | undefined;
function noteProcesses(): void {
  if (!running) return;
  const pids = Object.fromEntries(running.services.map((service) => [service.name, service.pid()]));
  writeState({ ...running.state, pids: { runner: process.pid, ...pids } });
}

async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  for (const close of closers.reverse())
    await close().catch((error: unknown) => step(`while stopping: ${String(error)}`));
  releasePid();
  goodbye();
  process.exit(code);
}

/** A step that is undone at the stop, unless the stop has already begun. */
async function keep<T>(work: Promise<T>, close: (value: T) => Promise<unknown>): Promise<T> {
  const value = await work;
  closers.push(() => close(value));
  return value;
}

async function databases() {
  const options = (name: string) => ({
    dataDir: join(paths.databases, name),
    durable: true,
    env: process.env,
    onProgress: step,
  });
  const starting = [
    keep(startPostgres(options('postgres')), (database) => database.stop()),
    keep(startMongo(options('mongo')), (database) => database.stop()),
  ] as const;
  // Both are waited for: a server that comes up after the other one failed must be stopped as well.
  await Promise.allSettled(starting);
  const [postgres, mongo] = await Promise.all(starting);
  step(`PostgreSQL is ${postgres.engine}; MongoDB is ${mongo.engine}`);
  return { postgres, mongo };
}

/** The name is this checkout's own: others may use the same server. */
async function serviceRole(url: string, password: string): Promise<string> {
  const mark = createHash('sha256').update(paths.databases).digest('hex').slice(0, 8);
  try {
    return await openServiceRole(url, `tollgate_service_${mark}`, password);
  } catch (error) {
    step(`accounting connects as the owner of its schema: ${String(Object(error).message ?? error)}`);
    return url;
  }
}

async function run(): Promise<void> {
  const ports = {
    auth: await servicePort('auth', 'AUTH_PORT', 3000),
    chatProxy: await servicePort('chat-proxy', 'CHAT_PROXY_PORT', 8000),
    accounting: await servicePort('accounting', 'ACCOUNTING_PORT', 3001),
  };
  const secrets = devSecrets();
  const { postgres, mongo } = await databases().catch((error: unknown) => {
    throw new Trouble(String(Object(error).message ?? error));
  });
  const mail = await keep(startSmtpSink({ httpPort: await convenientPort(MAIL_PORT) }), (sink) => sink.stop());
  const upstreams = await keep(upstreamsFrom(process.env), (servers) => servers.stop());
  step(`mail sink ${mail.httpUrl}, AI servers: ${upstreams.description}`);

  const environments = environmentsOf({
    ports,
    secrets,
    postgres: { service: await serviceRole(postgres.url, secrets.POSTGRES_SERVICE_PASSWORD), owner: postgres.url },
    mongoUrl: mongo.url,
    smtpUrl: mail.smtpUrl,
    upstreams,
    own: ownSettings(process.env),
  });
  const services = await Promise.all(
    environments.services.map((spec) =>
      keep(startService({ ...spec, watch }, noteProcesses), (service) => service.stop()),
    ),
  );
  step(`services ready: ${services.map((service) => service.name).join(', ')}`);
  const seeded = await seed({
    urls: environments.urls,
    authEnvironment: environments.of.auth,
    passwords: { admin: secrets.ADMIN_PASSWORD, supervisor: secrets.SUPERVISOR_PASSWORD, demo: secrets.DEMO_PASSWORD },
  });
  step(
    `users and credits: ${Object.values(seeded.users)
      .map((user) => user.username)
      .join(', ')}; ${seeded.chatflows.length} chatflows`,
  );
  const state: DevState = {
    ready: true,
    urls: { ...environments.urls, mail: mail.httpUrl, upstream: upstreams.flowise.url },
    smtpUrl: mail.smtpUrl,
    databases: {
      postgres: { url: postgres.url, engine: postgres.engine },
      mongo: { url: mongo.url, engine: mongo.engine },
    },
    users: seeded.users,
    chatflows: seeded.chatflows,
    pids: {},
  };
  running = { state, services };
  noteProcesses();
  welcome(state);
  process.send?.({ ready: true });
}

process.on('SIGTERM', () => void stop(0));
process.on('SIGINT', () => void stop(0));
// The launcher has died: nobody could press Ctrl-C any more. After `stay` it may leave.
process.on('disconnect', () => void stop(0));
process.on('message', (message) => {
  if (message === 'stay') process.removeAllListeners('disconnect');
});

process.on('uncaughtException', (error) => {
  process.send?.({ trouble: String(error.stack) });
  void stop(1);
});

claimPid();
try {
  await run();
} catch (error) {
  if (!stopping) {
    process.send?.({ trouble: error instanceof Trouble ? error.message : String(Object(error).stack ?? error) });
    await stop(1);
  }
}
