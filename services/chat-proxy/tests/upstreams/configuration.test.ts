import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '@tollgate/config';
import { readEnvironment } from '../../src/config.ts';
import { SECRETS } from '../fixtures/socket.ts';

const ENV = {
  NODE_ENV: 'test',
  MONGODB_URI: 'mongodb://db.example.test/x',
  JWT_ACCESS_SECRET: SECRETS.accessSecret,
  JWT_SERVICE_SECRET: SECRETS.serviceSecret,
  AUTH_API_URL: 'http://auth:3000',
  ACCOUNTING_API_URL: 'http://accounting:3001',
};
const FLOW = 'c4a10000-0000-4000-8000-000000000001';

const read = (upstreams: unknown, env: Record<string, string> = {}) =>
  readEnvironment({ ...ENV, ...env, ...(upstreams !== undefined && { UPSTREAMS: JSON.stringify(upstreams) }) })
    .upstreams;

/** Every fault, one line each. */
function faultsOf(upstreams: unknown, env: Record<string, string> = {}): string[] {
  try {
    read(upstreams, env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.flatMap(({ name, message }) => message.split('; ').map((line) => `${name}: ${line}`));
  }
}

describe('AI servers as they are configured', () => {
  it('are one of each kind by variables of their own', () => {
    const { servers, routes } = read(undefined, {
      FLOWISE_API_URL: 'http://flowise:3000/api/',
      OPENAI_BASE_URL: 'https://api.openai.test/v1',
      OPENAI_API_KEY: 'sk-one',
      OPENAI_MODELS: 'small,large',
      UPSTREAM_FIRST_BYTE_TIMEOUT: '9s',
      UPSTREAM_PASS_HEADERS: 'X-Trace, accept-language',
    });
    expect(servers).toMatchObject([
      { name: 'flowise', kind: 'flowise', baseUrl: 'http://flowise:3000', models: [], timeouts: { firstByteMs: 9000 } },
      { name: 'openai', kind: 'openai', models: ['small', 'large'], passHeaders: ['x-trace', 'accept-language'] },
    ]);
    expect([servers[1]?.apiKey?.reveal(), routes.size]).toEqual(['sk-one', 0]);
  });

  it('are any number more, with keys from variables or files and everything else as usual', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'keys-')), 'key');
    writeFileSync(file, 'from-a-file\n');
    const azure = {
      name: 'azure',
      kind: 'openai',
      baseUrl: 'https://azure.test/openai/v1',
      apiKey: '$AZURE_KEY',
      headers: { 'Api-Key': '$AZURE_KEY', 'api-version': '2026-01-01' },
      timeouts: { firstByte: '5s' },
      breaker: { pause: '1m' },
      publicOnly: true,
    };
    const flows = { name: 'flows-eu', kind: 'flowise', baseUrl: 'http://10.0.0.5:3000', timeouts: { ending: '3s' } };
    const document = {
      servers: [azure, flows],
      routes: {
        'gpt-x': { targets: [{ upstream: 'azure', weight: 4 }] },
        [FLOW]: { fallbacks: [{ upstream: 'flows-eu' }] },
      },
    };
    const { servers, routes } = read(document, { AZURE_KEY_FILE: file });
    expect(servers.map(({ name, endingMs, publicOnly }) => [name, endingMs, publicOnly])).toEqual([
      ['azure', 20_000, true],
      ['flows-eu', 3000, false],
    ]);
    expect(servers[0]).toMatchObject({
      timeouts: { firstByteMs: 5000, idleMs: 60_000 },
      breaker: { failures: 5, pauseMs: 60_000 },
    });
    expect([servers[0]?.apiKey?.reveal(), Object.keys(servers[0]?.headers ?? {})]).toEqual([
      'from-a-file',
      ['api-key', 'api-version'],
    ]);
    expect(JSON.stringify(servers)).not.toContain('from-a-file');
    expect([...routes]).toEqual([
      ['model:gpt-x', { targets: [{ upstream: 'azure', model: 'gpt-x', weight: 4 }], fallbacks: [] }],
      [FLOW, { targets: [], fallbacks: [{ upstream: 'flows-eu', model: FLOW }] }],
    ]);
  });

  it('are judged all at once, place by place, and no fault repeats a value', () => {
    const server = { name: 'x', kind: 'openai', baseUrl: 'http://x.test' };
    const faults = faultsOf({
      servers: [
        { ...server, name: 'My Server', kind: 'ollama', baseUrl: 'ftp://x', apiKey: 'sk-secret-in-the-wrong-place' },
        {
          ...server,
          timeouts: { total: '3 days' },
          passHeaders: ['Authorization', 'x-request-id'],
          headers: { host: 'x' },
        },
        { ...server, connections: 0, breaker: { failures: 0 }, modells: [] },
      ],
      routes: { m: { targets: [{ upstream: 'x', weight: -1 }] } },
      more: 1,
    });
    expect(faults).toEqual([
      expect.stringContaining('UPSTREAMS: servers[0].name: must be 1-40 lower case'),
      expect.stringContaining('UPSTREAMS: servers[0].kind: must be flowise, or openai'),
      expect.stringContaining('UPSTREAMS: servers[0].baseUrl: must be an http or https URL'),
      expect.stringContaining('UPSTREAMS: servers[0].apiKey: must name the variable that holds the key'),
      expect.stringContaining('UPSTREAMS: servers[1].headers'),
      expect.stringContaining('UPSTREAMS: servers[1].passHeaders[0]: must not be a header that is never passed on'),
      expect.stringContaining('UPSTREAMS: servers[1].passHeaders[1]: must not be a header that is never passed on'),
      expect.stringContaining('UPSTREAMS: servers[1].timeouts.total: a duration is'),
      expect.stringContaining('UPSTREAMS: servers[2].connections'),
      expect.stringContaining('UPSTREAMS: servers[2].breaker.failures'),
      expect.stringContaining('UPSTREAMS: servers[2]: Unrecognized key: "modells"'),
      expect.stringContaining('UPSTREAMS: routes.m.targets[0].weight'),
      expect.stringContaining('UPSTREAMS: it: Unrecognized key: "more"'),
    ]);
    expect(faults.join()).not.toMatch(/sk-secret|My Server|ftp/);
  });

  it.each([
    ['no JSON', '{"servers":', ['UPSTREAMS: it: Invalid input: expected object, received undefined']],
    [
      'a server twice',
      {
        servers: [
          { name: 'x', kind: 'openai', baseUrl: 'http://x' },
          { name: 'x', kind: 'flowise', baseUrl: 'http://y' },
        ],
      },
      ['UPSTREAMS: servers: name a server twice'],
    ],
    [
      'the name of a simple one',
      { servers: [{ name: 'openai', kind: 'openai', baseUrl: 'http://x' }] },
      ['UPSTREAMS: servers: openai is the name of the one of OPENAI_BASE_URL'],
    ],
    [
      'routes to nowhere, to the other kind and without a target',
      {
        routes: { a: { fallbacks: [{ upstream: 'nobody' }] }, [FLOW]: { fallbacks: [{ upstream: 'openai' }] }, b: {} },
      },
      [
        'UPSTREAMS: routes.a: there is no server nobody',
        `UPSTREAMS: routes.${FLOW}: openai is of kind openai, and must be of kind flowise`,
        'UPSTREAMS: routes.b: names no target',
      ],
    ],
    [
      'variables that hold nothing',
      {
        servers: [
          { name: 'x', kind: 'openai', baseUrl: 'http://x', apiKey: '$NO_KEY', headers: { 'x-a': '$NO_HEADER' } },
        ],
      },
      [
        'NO_KEY: is required: the server x of UPSTREAMS uses it',
        'NO_HEADER: is required: the server x of UPSTREAMS uses it',
      ],
    ],
  ])('are refused when they are %s', (_, upstreams, faults) => {
    const env = { OPENAI_BASE_URL: 'http://models.test' };
    const text = typeof upstreams === 'string' ? upstreams : JSON.stringify(upstreams);
    expect(faultsOf(undefined, { ...env, UPSTREAMS: text })).toEqual(faults);
  });

  it('may come from a file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'upstreams-')), 'upstreams.json');
    writeFileSync(file, JSON.stringify({ servers: [{ name: 'x', kind: 'flowise', baseUrl: 'http://x' }] }));
    expect(read(undefined, { UPSTREAMS_FILE: file }).servers).toMatchObject([{ name: 'x' }]);
  });
});
