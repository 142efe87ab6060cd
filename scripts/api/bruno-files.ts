import { exampleOf } from './example.ts';
import type { OpenApi, Operation, Parameter } from './document.ts';

const VARIABLES: Readonly<Record<string, { readonly name: string; readonly url: string }>> = {
  auth: { name: 'authUrl', url: 'http://127.0.0.1:3000' },
  'chat-proxy': { name: 'chatUrl', url: 'http://127.0.0.1:8000' },
  accounting: { name: 'accountingUrl', url: 'http://127.0.0.1:3001' },
};

/** The collection: a folder per service, in it one per resource, a file per operation. */
export function brunoFiles(documents: readonly (readonly [service: string, document: OpenApi])[]): Map<string, string> {
  const files = new Map([
    ['bruno.json', `${JSON.stringify({ version: '1', name: 'Tollgate', type: 'collection', ignore: [] }, null, 2)}\n`],
    ['environments/local.bru', environment()],
  ]);
  for (const [service, document] of documents) {
    const counts = new Map<string, number>();
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const folder = `${service}/${resourceOf(path)}`;
        // Counted in each folder, so that a new operation changes few files.
        const seq = (counts.get(folder) ?? 0) + 1;
        counts.set(folder, seq);
        const file = `${folder}/${operation.operationId}.bru`;
        files.set(file, request({ service, path, method, seq, operation, document }));
      }
    }
  }
  return files;
}

const environment = (): string =>
  block(
    'vars',
    Object.values(VARIABLES).map(({ name, url }) => `${name}: ${url}`),
  ) +
  // Nothing of these is written to a file.
  '\nvars:secret [\n  accessToken,\n  refreshToken,\n  serviceToken\n]\n';

/** The first part of a path that says what it is about. */
const resourceOf = (path: string): string =>
  path
    .split('/')
    .find((part) => part !== '' && !['api', 'v1', 'admin', 'chat'].includes(part) && !part.startsWith('{')) ?? 'root';

interface Request {
  readonly service: string;
  readonly path: string;
  readonly method: string;
  readonly seq: number;
  readonly operation: Operation;
  readonly document: OpenApi;
}

function request({ service, path, method, seq, operation, document }: Request): string {
  const url = `{{${VARIABLES[service]?.name}}}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
  const credentials = credentialsOf(operation);
  const body = bodyOf(operation, document);
  const kind = `body: ${body.kind}`;
  return [
    block('meta', [`name: ${operation.operationId}`, 'type: http', `seq: ${seq}`]),
    block(method, [`url: ${url}`, kind, `auth: ${credentials === '' ? 'none' : 'bearer'}`]),
    ...parametersOf(operation, document),
    credentials,
    body.text,
    keepsTokens(operation) ? block('script:post-response', KEEP_TOKENS) : '',
    block('docs', [operation.summary ?? '', `Permission: ${operation['x-permission']}`]),
  ]
    .filter((text) => text !== '')
    .join('\n');
}

function parametersOf({ parameters = [] }: Operation, document: OpenApi): string[] {
  const line = ({ name, required, schema }: Parameter) => {
    const value = /^idempotency-key$/i.test(name) ? '{{$guid}}' : String(exampleOf(schema ?? {}, document, name));
    return `${required ? '' : '~'}${name}: ${value}`;
  };
  const of = (where: string) => parameters.filter((parameter) => parameter.in === where).map(line);
  return [section('params:path', of('path')), section('params:query', of('query')), section('headers', of('header'))];
}

function credentialsOf({ 'x-callers': callers }: Operation): string {
  if (callers === 'anyone') return '';
  return block('auth:bearer', [`token: {{${callers === 'service' ? 'serviceToken' : 'accessToken'}}}`]);
}

function bodyOf({ requestBody }: Operation, document: OpenApi): { kind: string; text: string } {
  const json = requestBody?.content['application/json']?.schema;
  if (json) {
    const lines = JSON.stringify(exampleOf(json, document), null, 2).split('\n');
    return { kind: 'json', text: block('body:json', lines) };
  }
  if (!requestBody?.content['multipart/form-data']) return { kind: 'none', text: '' };
  return { kind: 'multipartForm', text: block('body:multipart-form', ['file: @file()']) };
}

const keepsTokens = ({ operationId }: Operation): boolean =>
  ['logIn', 'refreshSession', 'switchWorkspace'].includes(operationId);
const KEEP_TOKENS = [
  "if (res.body.accessToken) bru.setEnvVar('accessToken', res.body.accessToken);",
  "if (res.body.refreshToken) bru.setEnvVar('refreshToken', res.body.refreshToken);",
];

const section = (name: string, lines: readonly string[]): string => (lines.length === 0 ? '' : block(name, lines));
const block = (name: string, lines: readonly string[]): string =>
  `${name} {\n${lines.map((line) => `  ${line}`.trimEnd()).join('\n')}\n}\n`;
