import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { SERVICE_NAMES, type ServiceName } from '@tollgate/contracts';
import { parse } from 'yaml';
import { z } from 'zod';
import { readVariables, type Variables } from '../../scripts/environment/variables.ts';

// Without helm a chart cannot be rendered. What can be read is: names, values and their schema; where helm is, it has the last word
// in helm-rendered.test.ts.

interface ServiceValues {
  readonly port: number;
  readonly secrets: readonly string[];
  readonly migrationSecrets?: readonly string[];
  readonly env: Readonly<Record<string, unknown>>;
}
interface Values {
  readonly shutdown: Readonly<Record<'preStop' | 'accept' | 'drain' | 'close' | 'spare', number>>;
  readonly services: Readonly<Record<ServiceName, ServiceValues>>;
}

const CHART = join('infra', 'helm', 'tollgate');
const read = (...path: string[]): string => readFileSync(join(CHART, ...path), 'utf8');
const values = parse(read('values.yaml')) as Values;
const given = { ...values, publicBaseUrl: 'https://chat.example.test', mailFrom: 'chat@example.test' };
const templates = readdirSync(join(CHART, 'templates')).map((name) => ({ name, text: read('templates', name) }));
const helpers = read('templates', '_helpers.tpl');

/** Whether a line of templates/_helpers.tpl is in a branch for this service; nothing when it opens and closes none. */
function opens(line: string, service: ServiceName, isDecided: boolean): boolean | undefined {
  if (line === '{{- end }}') return true;
  if (line === '{{- else }}') return !isDecided;
  const [, word, how, named] = /^\{\{- (if|else if) (eq|ne) \.service "([a-z-]+)" \}\}$/.exec(line) ?? [];
  if (word === undefined) return undefined;
  return !(word === 'else if' && isDecided) && (named === service) === (how === 'eq');
}

/** Names that the template gives to one service: its lines, less those in branches of other services. */
function namesInTemplate(service: ServiceName): string[] {
  const begin = helpers.indexOf('define "tollgate.environment"');
  const lines = helpers.slice(begin, helpers.indexOf('{{- range $name := .secrets }}', begin)).split('\n');
  let isOurs = true;
  let isDecided = false;
  return lines.flatMap((line) => {
    const opened = opens(line, service, isDecided);
    if (opened !== undefined) {
      isOurs = opened;
      isDecided = (line.startsWith('{{- else') && isDecided) || opened;
    }
    const [, name] = /^- name: ([A-Z][A-Z0-9_]*)$/.exec(line) ?? [];
    return name !== undefined && isOurs ? [name] : [];
  });
}

let variables: Variables;
beforeAll(async () => {
  variables = await readVariables();
});

/** Not required by the schemas, because there is another way, but by an installation of this chart. */
const NEEDED: Readonly<Record<ServiceName, readonly string[]>> = {
  auth: ['JWT_ACCESS_SECRET', 'PUBLIC_BASE_URL', 'MAIL_FROM', 'ACCOUNTING_API_URL'],
  'chat-proxy': ['JWT_ACCESS_SECRET'],
  accounting: ['JWT_ACCESS_SECRET', 'DATABASE_URL', 'LEDGER_SIGNING_SECRET', 'SMTP_URL', 'MAIL_FROM', 'AUTH_API_URL'],
};

describe.each(SERVICE_NAMES)('the environment that the chart gives to %s', (service) => {
  it('is known to the service, with secrets as files only', () => {
    const rows = new Map(variables[service].map((row) => [row.name, row]));
    const { secrets, migrationSecrets = [], env } = values.services[service];
    const open = [...namesInTemplate(service), ...Object.keys(env)];
    const closed = [...secrets, ...migrationSecrets];
    expect([...open, ...closed].filter((name) => !rows.has(name))).toEqual([]);
    expect(open.filter((name) => rows.get(name)?.secret)).toEqual([]);
    expect(closed.filter((name) => !rows.get(name)?.secret)).toEqual([]);
  });

  it('has everything that is required', () => {
    const set = new Set([...namesInTemplate(service), ...values.services[service].secrets]);
    const required = variables[service].filter((row) => row.required).map(({ name }) => name);
    expect([...required, ...NEEDED[service]].filter((name) => !set.has(name))).toEqual([]);
  });

  it('keeps the owner of the schema from the pods that serve', () => {
    expect(values.services[service].secrets).not.toContain('DATABASE_OWNER_URL');
  });
});

describe('the values', () => {
  const schema = z.fromJSONSchema(JSON.parse(read('values.schema.json')));

  it('fit their schema once the address and the sender are given, and not before', () => {
    expect(schema.safeParse(given).error).toBeUndefined();
    expect(schema.safeParse(values).success).toBe(false);
  });

  it.each([
    ['an unknown name', { replicas: 3 }],
    ['a plain http address', { publicBaseUrl: 'http://chat.example.test' }],
    ['a grace that the services would refuse', { shutdown: { ...values.shutdown, drain: 601 } }],
  ])('do not fit with %s', (_what, change) => {
    expect(schema.safeParse({ ...given, ...change }).success).toBe(false);
  });

  it('have every value that a template reads', () => {
    const paths = templates.flatMap(({ text }) => [...text.matchAll(/\.Values\.([A-Za-z]+(?:\.[A-Za-z]+)*)/g)]);
    const missing = paths.filter(([, path = '']) => {
      const found = path.split('.').reduce<unknown>((from, key) => Object(from)[key], values);
      return found === undefined;
    });
    expect(missing.map(([, path = '']) => path)).toEqual([]);
  });
});

describe('the pods', () => {
  const deployments = read('templates', 'deployments.yaml');

  it('get as long to end as the service takes from the signal, and the pause before it', () => {
    expect(helpers).toContain('{{ add .preStop .accept .drain .close .spare }}');
    expect(deployments).toContain('terminationGracePeriodSeconds: {{ include "tollgate.grace" $ }}');
    expect(deployments).toContain('sleep: { seconds: {{ $.Values.shutdown.preStop }} }');
    for (const [name, of] of [
      ['SHUTDOWN_ACCEPT', 'accept'],
      ['SHUTDOWN_DRAIN', 'drain'],
      ['SHUTDOWN_CLOSE', 'close'],
    ]) {
      expect(helpers).toContain(`- name: ${name}\n  value: {{ printf "%ds" (int $values.shutdown.${of}) }}`);
    }
  });

  it('are asked at the addresses that the services answer', () => {
    const asked = new Set([...deployments.matchAll(/httpGet: \{ path: (\S+),/g)].map(([, path = '']) => path));
    const health = readFileSync(join('packages', 'http-kit', 'src', 'server', 'pages.ts'), 'utf8');
    expect([...asked].toSorted()).toEqual(['/health/live', '/health/ready']);
    for (const path of asked) expect(health).toContain(`'${path}'`);
  });

  it('grow with a metric that chat-proxy has', () => {
    const [, metric] = /metric: \{ name: (\w+) \}/.exec(read('templates', 'scaling.yaml')) ?? [];
    expect(readFileSync(join('docs', 'metrics.md'), 'utf8')).toContain(`| \`${metric}\` | gauge |`);
  });
});

it('the chart brings every alert of the repository', () => {
  expect(readdirSync(join(CHART, 'alerts'))).toEqual(readdirSync(join('ops', 'alerts')));
  for (const file of readdirSync(join('ops', 'alerts'))) {
    expect(read('templates', 'monitoring.yaml')).toContain(`.Files.Get "alerts/${file}"`);
  }
});
