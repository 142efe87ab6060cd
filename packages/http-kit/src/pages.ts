import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { openApiDocument } from './openapi.ts';
import type { ServiceOptions } from './service-options.ts';

export interface Page {
  readonly path: string;
  answer(request: {
    remoteAddress: string;
    authorization: string | undefined;
  }): Promise<{ status: number; type: string; body: string | Buffer }>;
}

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
  const document = JSON.stringify(
    openApiDocument(
      title,
      options.version,
      options.routes.map(({ operation }) => operation),
    ),
  );
  const json = (status: number, body: unknown) => ({
    status,
    type: 'application/json; charset=utf-8',
    body: JSON.stringify(body),
  });
  const text = (type: string, body: string | Buffer) => ({ status: 200, type, body });
  return [
    ...['/health', '/api/health'].map((path) => ({ path, answer: async () => json(200, options.health.summary()) })),
    { path: '/health/live', answer: async () => json(200, options.health.live()) },
    {
      path: '/health/ready',
      answer: async () => {
        const { ready, status, checks } = await options.health.ready();
        return json(ready ? 200 : 503, { status, checks });
      },
    },
    { path: '/metrics', answer: async (request) => metricsPage(options, request) },
    { path: '/openapi.json', answer: async () => text('application/json; charset=utf-8', document) },
    { path: '/docs', answer: async () => text('text/html; charset=utf-8', docsPage(title)) },
    { path: '/docs/start.js', answer: async () => text('text/javascript; charset=utf-8', START_DOCS) },
    ...Object.entries(DOCS_FILES).map(([name, type]) => ({
      path: `/docs/${name}`,
      answer: async () => text(type, await readFile(join(docsFolder(), name))),
    })),
  ];
}

const docsFolder = (): string => dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

async function metricsPage(
  options: ServiceOptions,
  request: { remoteAddress: string; authorization: string | undefined },
) {
  const allowed =
    options.metricsToken === undefined
      ? isInternal(request.remoteAddress)
      : request.authorization === `Bearer ${options.metricsToken}`;
  if (!allowed || !options.metrics) return { status: 404, type: 'text/plain; charset=utf-8', body: 'Not found\n' };
  return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await options.metrics() };
}

/** Loopback and the private ranges of RFC 1918 and RFC 4193. */
const isInternal = (address: string): boolean =>
  /^(::ffff:)?(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address) ||
  address === '::1' ||
  /^f[cd]/i.test(address);
