import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Engine } from './engine.ts';
import { run, until } from './programs.ts';

export interface Container {
  readonly service: string;
  readonly id: string;
  readonly pid: number;
  readonly health: string;
  readonly exitCode: number;
  readonly startedAt: number;
  readonly healthyAt: number | undefined;
  readonly restarts: number;
  readonly addresses: readonly string[];
}

export interface Stack {
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  compose(...args: readonly string[]): Promise<string>;
  containers(): Promise<readonly Container[]>;
  container(service: string): Promise<Container>;
  /** Kills the first process of a container from outside, and waits until it is healthy again: seconds. */
  kill(service: string, meanwhile?: () => Promise<void>): Promise<number>;
  secret(name: string): Promise<string>;
}

export interface Outside {
  readonly publicHost: string;
  readonly flowiseUrl: string;
  readonly flowiseApiKey: string;
  readonly openAiUrl: string;
  readonly smtpUrl: string;
}

/** The double of MongoDB knows no users and is no replica set to whom its address is new. */
const mongoUrl = (database: string) => `mongodb://mongo:27017/${database}?directConnection=true`;

/** A clean copy of what git has, with secrets and an .env of its own. */
export async function layOut({ isOwn }: Engine, folder: string, outside: Outside): Promise<void> {
  const secrets = join(folder, 'secrets');
  await mkdir(secrets, { recursive: true });
  const copy = 'git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- -c | tar -x -C "$1"';
  await run('/bin/sh', ['-c', copy, 'copy', folder], process.env);
  if (isOwn) {
    await writeFile(join(secrets, 'auth_mongodb_uri'), mongoUrl('tollgate_auth'));
    await writeFile(join(secrets, 'chat_mongodb_uri'), mongoUrl('tollgate_chat'));
  }
  const given = {
    PUBLIC_BASE_URL: `https://${outside.publicHost}`,
    SMTP_URL: outside.smtpUrl,
    FLOWISE_API_KEY: outside.flowiseApiKey,
  };
  await run('./scripts/secrets', [], { ...process.env, ...given }, folder);
  const variables = {
    PUBLIC_BASE_URL: `https://${outside.publicHost}`,
    // As the profiles edge and scale want it; who calls a service itself sends no X-Forwarded-For.
    TRUST_PROXY_HOPS: '1',
    MAIL_FROM: 'tollgate@example.test',
    FLOWISE_API_URL: outside.flowiseUrl,
    FLOWISE_API_KEY_FILE: '/run/optional/flowise_api_key',
    OPENAI_BASE_URL: outside.openAiUrl,
    OPENAI_MODELS: 'demo-mini',
  };
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(folder, '.env'), lines.join(''));
}

/** Not the name in the file: what is taken down with its volumes must not be what somebody runs. */
export const PROJECT = 'tollgate-check';

export function openStack(engine: Engine, prepared: string, folder: string): Stack {
  const env = { ...engine.env, PREPARED: prepared, COMPOSE_PROJECT_NAME: PROJECT };
  const over = engine.isOwn ? ['outside', 'stand-ins'] : ['outside'];
  const files = ['docker-compose.yml', ...over.map((name) => `scripts/compose-proof/${name}.yml`)];
  const compose = (...args: readonly string[]) =>
    run(
      'docker',
      [
        'compose',
        '--ansi=never',
        '--progress=plain',
        '--project-directory',
        '.',
        ...files.flatMap((file) => ['--file', file]),
        ...args,
      ],
      env,
      folder,
    );
  const containers = async () => {
    const ids = (await compose('--profile=*', 'ps', '--all', '--quiet')).split('\n').filter((id) => id !== '');
    if (ids.length === 0) return [];
    return (JSON.parse(await engine.docker('inspect', ...ids)) as Inspected[]).map(containerOf);
  };
  const container = async (service: string) => {
    const found = (await containers()).find((each) => each.service === service);
    if (!found) throw new Error(`there is no container of ${service}`);
    return found;
  };
  return {
    env,
    folder,
    compose,
    containers,
    container,
    kill: async (service, meanwhile) => {
      const before = await container(service);
      const began = performance.now();
      // Not `docker kill`: the engine takes that for the operator's wish, and does not start the container again.
      process.kill(before.pid, 'SIGKILL');
      await meanwhile?.();
      await until(async () => {
        const now = await container(service);
        return now.startedAt > before.startedAt && now.health === 'healthy' ? now : undefined;
      }, `${service} to be healthy again`);
      return (performance.now() - began) / 1000;
    },
    secret: async (name) => (await readFile(join(folder, 'secrets', name), 'utf8')).trim(),
  };
}

interface Inspected {
  readonly Id: string;
  readonly RestartCount: number;
  readonly Config: { readonly Labels: Readonly<Record<string, string>> };
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
  readonly State: {
    readonly Pid: number;
    readonly ExitCode: number;
    readonly StartedAt: string;
    readonly Health?: {
      readonly Status: string;
      readonly Log: readonly { readonly End: string; readonly ExitCode: number }[] | null;
    };
  };
}

function containerOf({ Id, RestartCount, Config, NetworkSettings, State }: Inspected): Container {
  const passed = State.Health?.Log?.find(({ ExitCode }) => ExitCode === 0);
  return {
    service: Config.Labels['com.docker.compose.service'] ?? '',
    id: Id,
    pid: State.Pid,
    health: State.Health?.Status ?? 'none',
    exitCode: State.ExitCode,
    startedAt: Date.parse(State.StartedAt),
    healthyAt: passed && Date.parse(passed.End),
    restarts: RestartCount,
    addresses: Object.values(NetworkSettings.Networks)
      .map(({ IPAddress }) => IPAddress)
      .filter((address) => address !== ''),
  };
}
