import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SERVICE_NAMES } from '@tollgate/contracts';
import { parse } from 'yaml';
import { selectorsOf } from '../scripts/metrics/alert-rules.ts';

interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly privileged?: boolean;
  readonly cpus?: number;
  readonly mem_limit?: string;
  readonly pids_limit?: number;
  readonly networks?: readonly string[] | Readonly<Record<string, unknown>>;
  readonly secrets?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly restart?: string;
  readonly volumes?: readonly string[];
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as Compose;
const all = Object.entries(compose.services);
const names = (which: (service: Service, name: string) => boolean): string[] =>
  all.filter(([name, service]) => which(service, name)).map(([name]) => name);
const isJob = ({ healthcheck }: Service) => healthcheck?.disable === true;
const networksOf = ({ networks = [] }: Service) => (Array.isArray(networks) ? networks : Object.keys(networks));

describe('docker-compose.yml', () => {
  it('publishes the three services and nothing else, on this machine alone', () => {
    expect(names(({ ports, profiles }) => ports !== undefined && profiles === undefined)).toEqual(
      [...SERVICE_NAMES].sort(byAppearance),
    );
    const published = all.flatMap(([, { ports = [] }]) => ports);
    expect(
      published.filter((port) => !/^(127\.0\.0\.1|\$\{EDGE_ADDRESS:-127\.0\.0\.1\}):\$\{\w+:-\d+\}:\d+$/.test(port)),
    ).toEqual([]);
  });

  it('takes every right from every container, and bounds what it may use', () => {
    expect(names(({ cap_drop }) => cap_drop?.join() !== 'ALL')).toEqual([]);
    expect(names(({ security_opt }) => !security_opt?.includes('no-new-privileges:true'))).toEqual([]);
    expect(names(({ read_only }) => read_only !== true)).toEqual([]);
    expect(names(({ privileged }) => privileged === true)).toEqual([]);
    expect(names(({ cpus, mem_limit, pids_limit }) => !cpus || !mem_limit || !pids_limit)).toEqual([]);
  });

  it('gives rights and root to nobody but mongod, which gives them up', () => {
    expect(names(({ cap_add }) => cap_add !== undefined)).toEqual(['mongo']);
    expect(names(({ user }) => user === undefined || /^(0|root)\b/.test(user))).toEqual(['mongo']);
  });

  it('looks after the health of all that stays, and starts again what ends', () => {
    expect(names((service) => !isJob(service) && service.healthcheck?.test?.[0] !== 'CMD')).toEqual([]);
    expect(names((service) => isJob(service) !== /^(mongo-init|.*-migrate)$/.test(nameOf(service)))).toEqual([]);
    expect(names((service) => service.restart !== (isJob(service) ? 'on-failure:5' : 'unless-stopped'))).toEqual([]);
  });

  it('starts nothing before what it needs is healthy, and done', () => {
    const wrong = all.flatMap(([name, { depends_on = {} }]) =>
      Object.entries(depends_on)
        .filter(([needed, { condition }]) => {
          const service = compose.services[needed];
          return condition !== (service && isJob(service) ? 'service_completed_successfully' : 'service_healthy');
        })
        .map(([needed]) => `${name}: ${needed}`),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps the databases where there is no way out, and from everybody but the services', () => {
    expect(compose.networks['data']?.internal).toBe(true);
    expect(networksOf(compose.services['mongo'] as Service)).toEqual(['data']);
    expect(networksOf(compose.services['postgres'] as Service)).toEqual(['data']);
    const strangers = names(({ profiles = [] }) => profiles.length > 0 && !profiles.includes('scale'));
    expect(strangers.filter((name) => networksOf(compose.services[name] as Service).includes('data'))).toEqual([]);
  });

  it('knows secrets as files that scripts/secrets writes, each without a default', () => {
    const script = readFileSync('scripts/secrets', 'utf8');
    for (const [name, { file }] of Object.entries(compose.secrets)) {
      expect(file).toBe(`secrets/${name}`);
      expect(script).toMatch(new RegExp(`\\b${name}\\b`));
    }
    const used = new Set(all.flatMap(([, { secrets = [] }]) => secrets));
    expect([...used].sort()).toEqual(Object.keys(compose.secrets).sort());
    const inTheOpen = all.flatMap(([name, { environment = {} }]) =>
      Object.entries(environment)
        .filter(
          ([variable, value]) =>
            /(PASSWORD|SECRET|TOKEN|_KEY|URI)$/.test(variable) &&
            /\w/.test(String(value).replace(/^\$\{\w+:?-\}$/, '')),
        )
        .map(([variable]) => `${name}: ${variable}`),
    );
    expect(inTheOpen).toEqual([]);
  });

  it('lets only the migration have the role that owns the ledger', () => {
    const owners = names(({ secrets }) => secrets?.includes('accounting_database_owner_url') === true);
    expect(owners).toEqual(['accounting-migrate', 'postgres']);
    const migrating = names(({ environment }) => String(environment?.['MIGRATE_ON_START'] ?? 'false') !== 'false');
    expect(migrating).toEqual([]);
  });

  it.each(SERVICE_NAMES)('gives the second %s what the first has, but no port', (name) => {
    const { ports: _, networks: __, ...first } = compose.services[name] as Service;
    const { profiles, networks, ...second } = compose.services[`${name}-2`] as Service;
    expect(second).toEqual(first);
    expect(profiles).toEqual(['scale']);
    expect(networks).toMatchObject({ front: { aliases: [name] } });
  });

  it.each(SERVICE_NAMES)(
    'shows the migration of %s every file that the environment of the service may name',
    (name) => {
      const { volumes } = compose.services[name] as Service;
      expect(volumes).toEqual(['./secrets/optional:/run/optional:ro']);
      expect(compose.services[`${name}-migrate`]?.volumes).toEqual(volumes);
    },
  );

  it('names a version of every image that is not ours', () => {
    expect(names(({ image }) => !/^tollgate\/|:v?\d/.test(image))).toEqual([]);
  });
});

function byAppearance(a: string, b: string): number {
  return Object.keys(compose.services).indexOf(a) - Object.keys(compose.services).indexOf(b);
}
function nameOf(service: Service): string {
  return all.find(([, each]) => each === service)?.[0] ?? '';
}

describe('the image of a service', () => {
  const dockerfile = readFileSync('infra/docker/service.Dockerfile', 'utf8');

  it('is built on the Node of .node-version, by digest, with the pnpm of package.json', () => {
    const node = readFileSync('.node-version', 'utf8').trim();
    expect(dockerfile).toMatch(new RegExp(`^ARG NODE_IMAGE=node:${node}-slim@sha256:[0-9a-f]{64}$`, 'm'));
    const { packageManager } = JSON.parse(readFileSync('package.json', 'utf8')) as { packageManager: string };
    expect(dockerfile).toContain(`ARG PNPM_VERSION=${packageManager.replace('pnpm@', '')}\n`);
  });

  it('runs without root and without a shell, and tells its health', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
    expect(last).toMatch(/^USER node$/m);
    expect(last).not.toMatch(/^RUN /m);
    const [, entry = ''] = /^ENTRYPOINT (\[.+\])$/m.exec(last) ?? [];
    expect(JSON.parse(entry)).toEqual([
      'node',
      '--enable-source-maps',
      '--max-semi-space-size=16',
      '--no-parallel-scavenge',
    ]);
    expect(last).toMatch(/^CMD \["dist\/main.js"\]$/m);
    expect(last).toMatch(/^HEALTHCHECK [\s\S]+?CMD \["node", /m);
  });

  it('has no secret and no result of this machine in what it is built from', () => {
    const [first, ...others] = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => !line.startsWith('#') && line !== '');
    expect(first).toBe('*');
    const let_in = others.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(let_in.filter((path) => /secret|\.env|\.git/.test(path))).toEqual([]);
  });
});

describe('a dashboard', () => {
  const FOLDER = join('infra', 'grafana', 'dashboards');
  const files = readdirSync(FOLDER);
  const known = new Set(
    [...readFileSync(join('docs', 'metrics.md'), 'utf8').matchAll(/^\| `(\w+)` \| (\w+)/gm)].flatMap(
      ([, name = '', type]) =>
        type === 'histogram' ? ['_bucket', '_sum', '_count'].map((part) => name + part) : [name],
    ),
  );

  it.each(files)('%s asks for metrics that a service has', (file) => {
    const { panels } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as {
      panels: { targets: { expr: string }[] }[];
    };
    const asked = panels
      .flatMap(({ targets }) => targets)
      .flatMap(({ expr }) => selectorsOf(expr))
      .map(({ metric }) => metric);
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((metric) => !known.has(metric))).toEqual([]);
  });
});

it('scripts/secrets can be run', () => {
  expect(statSync('scripts/secrets').mode & 0o111).toBe(0o111);
});
