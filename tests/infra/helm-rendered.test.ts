import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SERVICE_NAMES, type ServiceName } from '@tollgate/contracts';
import { parseAllDocuments } from 'yaml';
import { readAccountingConfig } from '../../services/accounting/src/config.ts';
import { readAuthConfig } from '../../services/auth/src/config.ts';
import { readEnvironment } from '../../services/chat-proxy/src/config.ts';

// What helm makes of the chart. Elsewhere helm.test.ts reads its files without helm.

interface Container {
  readonly env: readonly { readonly name: string; readonly value: string }[];
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly terminationGracePeriodSeconds?: number;
        readonly containers: readonly Container[];
      };
    };
  };
}

const CHART = join('infra', 'helm', 'tollgate');
const NEEDED = ['publicBaseUrl=https://chat.example.test', 'mailFrom=chat@example.test'];
const READERS: Readonly<Record<ServiceName, (env: Record<string, string>) => unknown>> = {
  auth: readAuthConfig,
  'chat-proxy': readEnvironment,
  accounting: readAccountingConfig,
};
/** What is no random text. */
const SECRETS: Readonly<Record<string, string>> = {
  mongodb_uri: 'mongodb://mongo.example.test/tollgate',
  database_url: 'postgres://tollgate@db.example.test/tollgate',
  database_owner_url: 'postgres://owner@db.example.test/tollgate',
  smtp_url: 'smtps://mail.example.test',
};

function render(...set: readonly string[]): Manifest[] {
  const options = [...NEEDED, ...set].flatMap((each) => ['--set', each]);
  execFileSync('helm', ['lint', '--strict', CHART, ...options], { stdio: 'pipe' });
  const text = execFileSync('helm', ['template', 'prod', CHART, ...options], { encoding: 'utf8', stdio: 'pipe' });
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollgate-chart-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The environment of the first container, its secrets lying in a folder of ours. */
function environmentOf({ spec }: Manifest): Record<string, string> {
  const env = spec.template.spec.containers[0]?.env ?? [];
  return Object.fromEntries(
    env.map(({ name, value }) => {
      if (!value.startsWith('/run/secrets/')) return [name, value];
      const key = value.slice('/run/secrets/'.length);
      writeFileSync(join(folder, key), SECRETS[key] ?? randomBytes(36).toString('base64url'));
      return [name, join(folder, key)];
    }),
  );
}

const hasHelm = spawnSync('helm', ['version']).status === 0;
(hasHelm ? describe : describe.skip)('what helm makes of the chart', () => {
  it('is every kind of object that the chart promises', () => {
    const hosts = SERVICE_NAMES.map((name) => `ingress.hosts.${name}=${name}.example.test`);
    const more = ['ingress.enabled=true', 'serviceMonitor.enabled=true', 'prometheusRule.enabled=true'];
    const kinds = new Set(render(...hosts, ...more, 'postgres.citus.enabled=true').map(({ kind }) => kind));
    const promised =
      'ServiceAccount Deployment Service HorizontalPodAutoscaler PodDisruptionBudget NetworkPolicy Job Ingress ServiceMonitor PrometheusRule ConfigMap';
    expect(kinds).toEqual(new Set(promised.split(' ')));
  });

  it.each(SERVICE_NAMES)('is an environment with which %s starts and migrates in production', (service) => {
    const names = [`prod-${service}`, `prod-${service}-migrate`];
    const found = render('postgres.pooling=transaction').filter(
      ({ kind, metadata }) => ['Deployment', 'Job'].includes(kind) && names.includes(metadata.name),
    );
    expect(found.map(({ metadata }) => metadata.name).toSorted()).toEqual(names);
    for (const manifest of found) {
      const env = environmentOf(manifest);
      expect(env['NODE_ENV']).toBe('production');
      expect(() => READERS[service](env)).not.toThrow();
    }
  });

  it('gives every pod as long to end as it takes', () => {
    const graces = render('shutdown.preStop=7', 'shutdown.drain=200')
      .filter(({ kind }) => kind === 'Deployment')
      .map(({ spec }) => spec.template.spec.terminationGracePeriodSeconds);
    expect(graces).toEqual([7 + 5 + 200 + 15 + 5, 7 + 5 + 200 + 15 + 5, 7 + 5 + 200 + 15 + 5]);
  });

  it('is no manifest at all without an address and a sender, or with a name nobody knows', () => {
    const fails = (...set: readonly string[]) =>
      spawnSync('helm', ['template', 'prod', CHART, ...set.flatMap((each) => ['--set', each])]).status !== 0;
    expect([fails(), fails(NEEDED[0] ?? ''), fails(...NEEDED, 'replicas=3'), fails(...NEEDED)]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});
