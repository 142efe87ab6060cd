import { SERVICE_NAMES, type ServiceName } from '@tollgate/contracts';
import type { VariableRow } from '@tollgate/config';
import type { Variables } from './variables.ts';

/** Read by docker-compose.yml and scripts/dev, by no service. */
export const COMPOSE_VARIABLES = [
  { name: 'AUTH_PORT', default: '3000', text: 'Port of auth on this machine' },
  { name: 'CHAT_PROXY_PORT', default: '8000', text: 'Port of chat-proxy on this machine' },
  { name: 'ACCOUNTING_PORT', default: '3001', text: 'Port of accounting on this machine' },
  {
    name: 'TOLLGATE_USER',
    default: '1000:1000',
    text: 'Who owns the secrets, and as whom containers run; scripts/secrets adds it',
  },
  {
    name: 'EDGE_ADDRESS',
    default: '127.0.0.1',
    text: 'Profile edge: where nginx listens; 0.0.0.0 opens it to the world',
  },
  { name: 'EDGE_PORT', default: '8443', text: 'Profile edge: its port for TLS' },
  { name: 'FLOWISE_PORT', default: '3003', text: 'Profile flowise: its pages on this machine' },
  { name: 'MAIL_PORT', default: '8025', text: 'Profile mail: its mailbox on this machine' },
  { name: 'GRAFANA_PORT', default: '3002', text: 'Profile observability: Grafana on this machine' },
] as const;

const BEGIN = '      # From here on made by scripts/check-env.ts --write: an empty value means the default.';
const ENTRY = /^ {6}([A-Z][A-Z0-9_]*):(?: (.*))?$/;

/** The lines of a service in docker-compose.yml, without the services before and after it. */
function blockOf(service: ServiceName, text: string): string[] {
  const lines = text.split('\n');
  const start = lines.indexOf(`  ${service}:`);
  if (start < 0) return [];
  const length = lines.slice(start + 1).findIndex((line) => /^ {0,2}[^\s#]/.test(line));
  return lines.slice(start, length < 0 ? lines.length : start + 1 + length);
}

/** The environment that a service gets: name → value as written. */
export function environmentOf(service: ServiceName, text: string): Map<string, string> {
  const lines = blockOf(service, text);
  // Other containers of the same image share it by its anchor.
  const start = lines.findIndex((line) => /^ {4}environment:(?: &\S+)?$/.test(line));
  const environment = new Map<string, string>();
  if (start < 0) return environment;
  for (const line of lines.slice(start + 1)) {
    if (/^ {0,5}\S/.test(line)) break;
    const [, name, value = ''] = ENTRY.exec(line) ?? [];
    if (name !== undefined) environment.set(name, value);
  }
  return environment;
}

/** What is wrong between the schemas and docker-compose.yml. */
export function composeFaults(variables: Variables, text: string): string[] {
  const ofServices = SERVICE_NAMES.flatMap((service) => {
    const environment = environmentOf(service, text);
    const rows = variables[service];
    const known = new Set(rows.flatMap(namesOf));
    const unknown = [...environment.keys()].filter((name) => !known.has(name));
    return [
      ...rows.flatMap((row) => faultsOf(row, environment)),
      ...unknown.map((name) => `gives ${name}, which the schema does not know`),
    ].map((fault) => `${service} ${fault}`);
  });
  return [...ofServices, ...interpolationFaults(variables, text)].map((fault) => `docker-compose.yml: ${fault}`);
}

const namesOf = ({ name, aliases }: VariableRow) => [name, ...aliases].flatMap((each) => [each, `${each}_FILE`]);

function faultsOf({ name, secret, required }: VariableRow, environment: ReadonlyMap<string, string>): string[] {
  const file = environment.get(`${name}_FILE`);
  if (secret && environment.has(name)) return [`gives the secret ${name} in the open; use ${name}_FILE`];
  if (secret && required && !file?.startsWith('/run/secrets/')) return [`needs ${name}_FILE, a file in /run/secrets`];
  return file !== undefined || environment.has(name) ? [] : [`lacks ${name}`];
}

/** What the file takes from the operator's `.env` is documented, and no password of a database stands in the open. */
function interpolationFaults(variables: Variables, text: string): string[] {
  const rows = SERVICE_NAMES.flatMap((service) => variables[service]);
  const known = new Set([...rows.flatMap(namesOf), ...COMPOSE_VARIABLES.map(({ name }) => name)]);
  const code = text.replaceAll(/^\s*#.*$/gm, '');
  const used = new Set([...code.matchAll(/(?<!\$)\$\{(\w+)/g)].map(([, name = '']) => name));
  const set = [...code.matchAll(/^\s+([A-Z][A-Z0-9_]*):/gm)].map(([, name = '']) => name);
  const open = set.filter((name) => /(PASSWORD|SECRET|TOKEN|KEY)$/.test(name) && !known.has(name));
  return [
    ...[...used].filter((name) => !known.has(name)).map((name) => `uses \${${name}}, which no document describes`),
    ...open.map((name) => `gives ${name} in the open; use ${name}_FILE`),
  ];
}

/**
 * Writes the pass-through lines below the marker of each service: every variable that is not set by hand above it. An
 * optional secret is passed as the path of a file.
 */
export function withPassedThrough(variables: Variables, text: string): string {
  return SERVICE_NAMES.reduce((done, service) => {
    const block = blockOf(service, done);
    const begin = block.indexOf(BEGIN);
    if (begin < 0) return done;
    const rest = block.slice(begin + 1);
    const length = rest.findIndex((line) => !ENTRY.test(line));
    const byHand = environmentOf(service, block.slice(0, begin).join('\n'));
    const missing = variables[service].filter(({ name }) => !byHand.has(name) && !byHand.has(`${name}_FILE`));
    const passed = missing.filter(({ secret, required }) => !secret || !required).map(passThrough);
    const written = [...block.slice(0, begin + 1), ...passed, ...rest.slice(length < 0 ? rest.length : length)];
    return done.replace(block.join('\n'), () => written.join('\n'));
  }, text);
}

function passThrough({ name, secret }: VariableRow): string {
  const given = secret ? `${name}_FILE` : name;
  return `      ${given}: \${${given}:-}`;
}
