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
    let seq = 0;
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        seq += 1;
        const file = `${service}/${resourceOf(path)}/${operation.operationId}.bru`;
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
  const of = (where: string) => (operation.parameters ?? []).filter((parameter) => parameter.in === where);
  const example = (parameter: Parameter) => String(exampleOf(parameter.schema ?? {}, document, parameter.name));
  const line = (parameter: Parameter) => `${parameter.required ? '' : '~'}${parameter.name}: ${example(parameter)}`;
  const json = operation.requestBody?.content['application/json']?.schema;
  const isForm = operation.requestBody?.content['multipart/form-data'] !== undefined;
  const isPublic = operation['x-callers'] === 'anyone';
  const body = json ? 'json' : isForm ? 'multipartForm' : 'none';
  const url = `{{${VARIABLES[service]?.name}}}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
  const token = operation['x-callers'] === 'service' ? 'serviceToken' : 'accessToken';
  return [
    block('meta', [`name: ${operation.operationId}`, 'type: http', `seq: ${seq}`]),
    block(method, [`url: ${url}`, `body: ${body}`, `auth: ${isPublic ? 'none' : 'bearer'}`]),
    section('params:path', of('path').map(line)),
    section('params:query', of('query').map(line)),
    section(
      'headers',
      of('header').map((each) =>
        /^idempotency-key$/i.test(each.name) ? `${each.required ? '' : '~'}${each.name}: {{$guid}}` : line(each),
      ),
    ),
    isPublic ? '' : block('auth:bearer', [`token: {{${token}}}`]),
    json ? block('body:json', JSON.stringify(exampleOf(json, document), null, 2).split('\n')) : '',
    isForm ? block('body:multipart-form', ['file: @file()']) : '',
    keepsTokens(operation) ? block('script:post-response', KEEP_TOKENS) : '',
    block('docs', [operation.summary ?? '', `Permission: ${operation['x-permission']}`]),
  ]
    .filter((text) => text !== '')
    .join('\n');
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
