import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { examplePath } from '@tollgate/test-kit';
import { operationsOf } from '../../scripts/house-rules/operations.ts';
import { CONTRACTS } from '../../scripts/openapi.ts';

interface Location {
  readonly kind: string;
  readonly pattern: string;
  /** Where it leads; undefined for 404. */
  readonly upstream: string | undefined;
}

const text = readFileSync('infra/nginx/routes.conf', 'utf8');
const locations: Location[] = [...text.matchAll(/^location (?:(=|\^~|~) )?(\S+) \{([^}]*)\}/gm)].map(
  ([, kind = '', pattern = '', body = '']) => ({
    kind,
    pattern,
    upstream: /proxy_pass http:\/\/(\w+)/.exec(body)?.[1],
  }),
);

/** As nginx chooses: an exact match, else the longest prefix if it says so (^~), else the first expression, else that prefix. */
function leadsTo(path: string): string | undefined {
  const exact = locations.find(({ kind, pattern }) => kind === '=' && pattern === path);
  if (exact) return exact.upstream;
  const prefixes = locations.filter(({ kind, pattern }) => kind !== '=' && kind !== '~' && path.startsWith(pattern));
  const longest = prefixes.toSorted((a, b) => b.pattern.length - a.pattern.length)[0];
  if (longest?.kind === '^~') return longest.upstream;
  const expression = locations.find(({ kind, pattern }) => kind === '~' && new RegExp(pattern).test(path));
  return (expression ?? longest)?.upstream;
}

/** Their method and path are auth's as well: reached under another name, or not at all. */
const HIDDEN = new Set(['createAccount']);
const isInternal = (path: string): boolean => /^\/api\/(internal|holds|testing|usage\/record$)/.test(path);
const UPSTREAMS = { auth: 'tollgate_auth', accounting: 'tollgate_accounting', 'chat-proxy': 'tollgate_chat_proxy' };

describe.each(['auth', 'accounting', 'chat-proxy'] as const)(
  'the public origin and the operations of %s',
  (service) => {
    const operations = operationsOf(CONTRACTS[service]).map(([, operation]) => operation);

    it('lead to it, each of them', () => {
      const outside = operations.filter(({ id, path }) => !HIDDEN.has(id) && !isInternal(path));
      const strayed = outside.filter((operation) => leadsTo(examplePath(operation)) !== UPSTREAMS[service]);
      expect(strayed.map(({ id, path }) => `${id} ${path}: ${leadsTo(path)}`)).toEqual([]);
    });

    it('do not lead to what only services and tests call, nor to metrics', () => {
      const inside = operations.filter(({ path }) => isInternal(path)).map(examplePath);
      expect([...inside, '/metrics', '/openapi.json', '/health/ready'].filter(leadsTo)).toEqual([]);
    });
  },
);

it('an operation whose place auth has too is reached under the name of accounting', () => {
  expect(leadsTo('/accounting/api/admin/users')).toBe('tollgate_accounting');
});

describe('what nginx does to a request', () => {
  const proxy = readFileSync('infra/nginx/proxy.conf', 'utf8');

  it.each([
    'proxy_buffering off;',
    'proxy_request_buffering off;',
    'proxy_http_version 1.1;',
    'proxy_set_header Upgrade $http_upgrade;',
    'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
    'proxy_ignore_client_abort off;',
    'proxy_next_upstream error timeout;',
    'proxy_read_timeout 16m;',
  ])('%s', (line) => {
    expect(proxy).toContain(`\n${line}\n`);
  });

  it('keeps connections to a service for less than the service does', () => {
    const server = readFileSync('packages/http-kit/src/server/http-server.ts', 'utf8');
    const kept = Number(/keepAliveTimeout: (\d+)_000/.exec(server)?.[1]);
    const upstreams = [...readFileSync('infra/nginx/upstreams.conf', 'utf8').matchAll(/keepalive_timeout (\d+)s;/g)];
    expect(upstreams).toHaveLength(3);
    for (const [, seconds] of upstreams) expect(Number(seconds)).toBeLessThan(kept);
  });

  it('logs no query, no referrer and no header of the client', () => {
    const format = readFileSync('infra/nginx/http.conf', 'utf8');
    expect(format).not.toMatch(/\$(?:request\b|request_uri|args|query_string|http_(?!upgrade)\w+|cookie_)/);
  });
});
