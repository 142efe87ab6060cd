import { createHash, randomBytes } from 'node:crypto';
import { access, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

import type { GenericContainer, StartedTestContainer } from 'testcontainers';

import { firstLine, Unavailable, within } from './dev-database.ts';
import type { DevDatabase, Environment, StartOptions } from './dev-database.ts';
import { withOwnedFolder } from './owned-folder.ts';
import { NOT_DURABLE } from './postgres-cluster.ts';
import { openReplicaSet } from './replica-set.ts';

const POSTGRES_IMAGE = 'postgres:18-alpine';
const MONGO_IMAGE = 'mongo:8';
const POSTGRES_PORT = 5432;
const MONGO_PORT = 27017;
const RUNTIME_ANSWER_MS = 3_000;
/** Covers pulling an image over a slow line; a machine without a network fails much earlier. */
const START_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 20_000;
const LABEL = 'tollgate.dev-database';

/** Runs PostgreSQL in a container. @throws Unavailable without a container runtime or when the image cannot be had. */
export async function postgresInDocker(options: StartOptions): Promise<DevDatabase> {
  await requireRuntime(options.env);
  return withOwnedFolder(join(options.dataDir, 'postgres-container'), async (folder) => {
    const password = await keptPassword(folder);
    const flags = { max_connections: '300', ...(options.durable ? {} : NOT_DURABLE) };
    const container = await startContainer(options, {
      name: 'postgres',
      image: POSTGRES_IMAGE,
      port: POSTGRES_PORT,
      dataPath: '/var/lib/postgresql',
      environment: { POSTGRES_USER: 'tollgate', POSTGRES_DB: 'tollgate', POSTGRES_PASSWORD: password },
      command: ['postgres', ...Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      // While the image prepares its data it serves a Unix socket only; TCP means that is over.
      readyCommand: 'pg_isready -h 127.0.0.1 -U tollgate',
    });
    const url = `postgres://tollgate:${password}@${container.getHost()}:${container.getMappedPort(POSTGRES_PORT)}/tollgate`;
    return { url, engine: `PostgreSQL (Docker, ${POSTGRES_IMAGE})`, pids: [], stop: () => remove(container) };
  });
}

/** Runs MongoDB as a one-node replica set in a container. @throws Unavailable like postgresInDocker. */
export async function mongoInDocker(options: StartOptions): Promise<DevDatabase> {
  await requireRuntime(options.env);
  return withOwnedFolder(join(options.dataDir, 'mongo-container'), async () => {
    const ttl = options.durable ? [] : ['--setParameter', 'ttlMonitorEnabled=false'];
    const container = await startContainer(options, {
      name: 'mongo',
      image: MONGO_IMAGE,
      port: MONGO_PORT,
      dataPath: '/data/db',
      environment: {},
      command: ['mongod', '--replSet', 'tollgate', '--bind_ip_all', ...ttl],
    });
    // The member's own address counts inside the container only, so drivers must not look for other members.
    const url = `mongodb://${container.getHost()}:${container.getMappedPort(MONGO_PORT)}/?directConnection=true`;
    try {
      await openReplicaSet(url, `127.0.0.1:${MONGO_PORT}`);
    } catch (error) {
      await remove(container);
      throw error;
    }
    return { url, engine: `MongoDB (Docker, ${MONGO_IMAGE})`, pids: [], stop: () => remove(container) };
  });
}

type ContainerPlan = {
  name: string;
  image: string;
  port: number;
  dataPath: string;
  environment: Record<string, string>;
  command: string[];
  readyCommand?: string;
};

async function startContainer(options: StartOptions, plan: ContainerPlan): Promise<StartedTestContainer> {
  const key = `${plan.name}-${createHash('sha256').update(resolve(options.dataDir)).digest('hex').slice(0, 16)}`;
  try {
    await removeOrphan(key);
    const container = await planContainer(options, plan, key);
    options.onProgress?.(`Docker: starting ${plan.image} (the first time its image is fetched)`);
    return await within(container.start(), START_LIMIT_MS, `Docker: ${plan.image}`, (late) => void remove(late));
  } catch (error) {
    throw new Unavailable(firstLine(error), { cause: error });
  }
}

async function planContainer(options: StartOptions, plan: ContainerPlan, key: string): Promise<GenericContainer> {
  const { GenericContainer: Container, getContainerRuntimeClient, Wait } = await import('testcontainers');
  const { host } = (await getContainerRuntimeClient()).info.containerRuntime;
  const isLocal = host === 'localhost' || host === '127.0.0.1';

  /** testcontainers would open the port on every interface; these databases are for this machine only. */
  class LocalContainer extends Container {
    protected override async beforeContainerCreated(): Promise<void> {
      const bindings: Record<string, { HostIp?: string }[]> = this.hostConfig.PortBindings ?? {};
      if (isLocal) for (const binding of Object.values(bindings).flat()) binding.HostIp = '127.0.0.1';
    }
  }

  const container = new LocalContainer(plan.image)
    .withEnvironment(plan.environment)
    .withCommand(plan.command)
    .withLabels({ [LABEL]: key })
    .withStartupTimeout(START_LIMIT_MS)
    .withExposedPorts(options.port === undefined ? plan.port : { container: plan.port, host: options.port });
  if (plan.readyCommand) container.withWaitStrategy(Wait.forSuccessfulCommand(plan.readyCommand));
  if (!options.durable) return container.withTmpFs({ [plan.dataPath]: 'rw' });
  // A named volume outlives the container, and so must the container outlive a crash of the caller.
  return container.withAutoCleanup(false).withBindMounts([{ source: `tollgate-${key}`, target: plan.dataPath }]);
}

/** Two servers on one volume would destroy it, and inside containers neither can see the other. */
async function removeOrphan(key: string): Promise<void> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  const { container: containers } = await getContainerRuntimeClient();
  const orphan = await containers.fetchByLabel(LABEL, key);
  if (!orphan) return;
  await containers.stop(orphan, { timeout: STOP_LIMIT_MS }).catch(() => undefined);
  await containers.remove(orphan, { removeVolumes: false });
}

const remove = async (container: StartedTestContainer): Promise<void> => {
  await container.stop({ timeout: STOP_LIMIT_MS, remove: true, removeVolumes: true });
};

/** Loading the Docker client costs half a second, so a machine without any socket is told apart first. */
async function requireRuntime(env: Environment): Promise<void> {
  const home = env['HOME'] ?? homedir();
  const runtimeDir = env['XDG_RUNTIME_DIR'] ?? `/run/user/${process.getuid?.() ?? 0}`;
  const traces = [
    '/var/run/docker.sock',
    join(home, '.docker/run/docker.sock'),
    join(home, '.docker/desktop/docker.sock'),
  ];
  traces.push(join(runtimeDir, 'docker.sock'), join(home, '.testcontainers.properties'));
  const found = await Promise.all(
    traces.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  if (!env['DOCKER_HOST'] && process.platform !== 'win32' && !found.includes(true)) {
    throw new Unavailable('no container runtime on this machine');
  }
  const { getContainerRuntimeClient } = await import('testcontainers');
  try {
    await within(getContainerRuntimeClient(), RUNTIME_ANSWER_MS, 'the answer of the container runtime');
  } catch (error) {
    throw new Unavailable('no container runtime answers', { cause: error });
  }
}

/** The volume remembers the first password it was made with. */
async function keptPassword(folder: string): Promise<string> {
  const file = join(folder, 'password');
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept) return kept;
  const password = randomBytes(24).toString('base64url');
  await writeFile(file, password, { mode: 0o600 });
  return password;
}
