import { hash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { AppError } from '../app-error.ts';
import type { Headers } from '../caller.ts';
import type { ServiceOptions } from './service-options.ts';

interface Visit {
  /** Calls from this machine or a private network, and not for somebody outside. */
  readonly isInternal: boolean;
  readonly authorization: string | undefined;
}

export interface Page {
  readonly method: 'GET';
  readonly path: string;
  answer(visit: Visit): Promise<PageAnswer>;
}

interface PageAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** What a page may know of a request: `ip` is the address that the trusted proxies vouch for. */
export const visitOf = (headers: Headers, ip: string | undefined, { trustProxyHops }: ServiceOptions): Visit => ({
  isInternal: isInternal(ip ?? '') && (trustProxyHops > 0 || headers['x-forwarded-for'] === undefined),
  authorization: typeof headers.authorization === 'string' ? headers.authorization : undefined,
});

const DOCS_FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};
const START_DOCS = `window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null });`;
const docsPage = (title: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
`;

/** What every service shows beside its operations: health, metrics, its OpenAPI document and a page to read it. */
export function pagesOf(options: ServiceOptions): readonly Page[] {
  const title = `Tollgate ${options.service}`;
  const document = once(() => documentOf(title, options));
  return [
    page('/health', () => json(200, options.health.summary())),
    page('/api/health', () => json(200, options.health.summary())),
    page('/health/live', () => json(200, options.health.live())),
    page('/health/ready', async () => {
      const { ready, status, checks } = await options.health.ready();
      return json(ready ? 200 : 503, { status, checks });
    }),
    page('/metrics', (visit) => metricsPage(options, visit)),
    page('/openapi.json', async () => text(200, JSON_TYPE, await document())),
    page('/docs', () => text(200, 'text/html; charset=utf-8', docsPage(title))),
    page('/docs/start.js', () => text(200, 'text/javascript; charset=utf-8', START_DOCS)),
    ...Object.entries(DOCS_FILES).map(([name, type]) =>
      page(`/docs/${name}`, async () => text(200, type, await readFile(join(docsFolder(), name)))),
    ),
  ];
}

/** Made for the first who asks, and kept: it takes a tenth of a second, which every start would wait for. */
async function documentOf(title: string, { version, routes }: ServiceOptions): Promise<string> {
  const { openApiDocument } = await import('../openapi.ts');
  const operations = routes.map(({ operation }) => operation);
  return JSON.stringify(openApiDocument(title, version, operations));
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

const page = (path: string, answer: (visit: Visit) => PageAnswer | Promise<PageAnswer>): Page => ({
  method: 'GET',
  path,
  answer: async (visit) => answer(visit),
});

const text = (status: number, type: string, body: string | Buffer): PageAnswer => ({
  status,
  headers: { 'content-type': type, 'cache-control': 'no-store' },
  body,
});

const JSON_TYPE = 'application/json; charset=utf-8';
const json = (status: number, body: unknown): PageAnswer => text(status, JSON_TYPE, JSON.stringify(body));

const docsFolder = (): string => dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

async function metricsPage({ metrics, metricsTokens }: ServiceOptions, visit: Visit): Promise<PageAnswer> {
  const isAllowed =
    metricsTokens === undefined
      ? visit.isInternal
      : metricsTokens.some((token) => isSame(visit.authorization ?? '', `Bearer ${token}`));
  if (!isAllowed || !metrics) throw new AppError('NOT_FOUND');
  return text(200, 'text/plain; version=0.0.4; charset=utf-8', await metrics());
}

/** Compares digests, so that the time taken tells nothing about the secret or its length. */
const isSame = (sent: string, expected: string): boolean =>
  timingSafeEqual(hash('sha256', sent, 'buffer'), hash('sha256', expected, 'buffer'));

/** Loopback and the private ranges of RFC 1918 and RFC 4193. */
const isInternal = (address: string): boolean =>
  /^(::ffff:)?(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address) ||
  address === '::1' ||
  /^f[cd]/i.test(address);
