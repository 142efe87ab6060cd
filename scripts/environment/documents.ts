import { SERVICE_NAMES, type ServiceName } from '@tollgate/contracts';
import { COMPOSE_VARIABLES } from './compose.ts';
import { merge, type SharedRow, type Variables } from './variables.ts';

const UPDATE = 'node --conditions=tollgate scripts/check-env.ts --write';

interface Section {
  readonly title: string;
  readonly rows: readonly SharedRow[];
}

/** What several services share comes first, then what each one has of its own. */
function sectionsOf(variables: Variables): Section[] {
  const rows = merge(variables);
  const shared = rows.filter(({ services }) => services.length > 1);
  const own = (service: ServiceName) => rows.filter(({ services }) => services.length === 1 && services[0] === service);
  return [
    { title: SHARED, rows: shared },
    ...SERVICE_NAMES.map((service) => ({ title: `Service ${service}`, rows: own(service) })),
    { title: 'docker-compose.yml and scripts/dev', rows: COMPOSE_VARIABLES.map(ofThisMachine) },
  ];
}

const SHARED = 'Several services';

const ofThisMachine = ({ name, text, default: value }: (typeof COMPOSE_VARIABLES)[number]): SharedRow => ({
  name,
  text,
  aliases: [],
  secret: false,
  required: false,
  services: [],
  defaults: new Map([['auth', value]]),
});

const everybody = (services: readonly ServiceName[]) =>
  services.length === SERVICE_NAMES.length ? 'all' : services.join(', ');

/** `.env.example`: every variable with its sentence; what has a default is commented out, what must be given is empty. */
export function envExample(variables: Variables): string {
  const head = [
    '# Every variable of Tollgate. Copy this file to .env and fill in what is empty; a line behind # shows the default.',
    '# A service reads the variables of its own section and of the first one. What has to differ between services, such as',
    '# PORT and MONGODB_URI, is set for each process apart; docker-compose.yml does so.',
    '# Any NAME may be given as NAME_FILE, the path of a file that holds the value. Durations: 500ms, 30s, 15m, 12h, 7d.',
    `# Written by: ${UPDATE}`,
  ];
  const body = sectionsOf(variables).flatMap(({ title, rows }) => [
    '',
    `# ${`── ${title} `.padEnd(100, '─')}`,
    ...rows.flatMap((row) => ['', ...commentOf(row), lineOf(row)]),
  ]);
  return `${[...head, ...body].join('\n')}\n`;
}

const commentOf = ({ text, services, aliases }: SharedRow): string[] => [
  `# ${text}.${services.length > 1 && services.length < SERVICE_NAMES.length ? ` (${services.join(', ')})` : ''}`,
  ...(aliases.length > 0 ? [`# Also read as ${aliases.join(' or ')}.`] : []),
];

function lineOf({ name, required, defaults }: SharedRow): string {
  if (required) return `${name}=`;
  const [first = ''] = defaults.values();
  return `# ${name}=${isUniform(defaults) ? first : `  # ${byService(defaults)}`}`;
}

const isUniform = (defaults: SharedRow['defaults']) => new Set(defaults.values()).size <= 1;
const byService = (defaults: SharedRow['defaults']) =>
  [...defaults].map(([service, value]) => `${service} ${value}`).join(', ');

/** `docs/configuration.md`: the same as tables. */
export function configurationPage(variables: Variables): string {
  const head = `# Configuration

Every service reads its configuration from the environment, once, at start. All faults are reported together, and a service with
a fault does not start.

- Any \`NAME\` may be given as \`NAME_FILE\`: the path of a file that holds the value. Use this for secrets.
- An empty variable counts as absent.
- Durations are a whole number with a unit, such as \`500ms\`, \`30s\`, \`15m\`, \`12h\`, \`7d\`; a number alone is seconds.
- Keys (\`JWT_…_SECRET\`, peppers) are one secret or a list \`name:secret,name:secret\`, the current one first. To replace one, list
  the new key behind the old one everywhere, then put it in front, then drop the old one: [step by step](runbook.md#replacing-secrets).
- A secret has at least 32 random bytes (\`openssl rand -base64 48\`). Secrets have no default, and two keys are never equal.

This page is made from the schemas: \`${UPDATE}\`.
`;
  const tables = sectionsOf(variables).map(({ title, rows }) => `\n## ${title}\n\n${table(rows, title)}`);
  return `${head}${tables.join('')}`;
}

function table(rows: readonly SharedRow[], title: string): string {
  const isShared = title === SHARED;
  const head = isShared
    ? ['| variable | default | used by | meaning |', '|---|---|---|---|']
    : ['| variable | default | meaning |', '|---|---|---|'];
  const lines = rows.map((row) => {
    const cells = [
      `\`${row.name}\``,
      defaultCell(row),
      ...(isShared ? [everybody(row.services)] : []),
      meaningCell(row),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return `${[...head, ...lines].join('\n')}\n`;
}

function defaultCell({ required, secret, defaults }: SharedRow): string {
  if (required) return secret ? '**required**, secret' : '**required**';
  if (secret) return '–, secret';
  const given = [...defaults].filter(([, value]) => value !== '');
  if (given.length === 0) return '–';
  return isUniform(defaults)
    ? `\`${given[0]?.[1]}\``
    : given.map(([service, value]) => `${service} \`${value}\``).join(', ');
}

const meaningCell = ({ text, aliases }: SharedRow) =>
  text.replaceAll('|', '\\|') + (aliases.length > 0 ? `. Also \`${aliases.join('`, `')}\`` : '');
