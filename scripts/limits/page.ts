import { SERVICE_NAMES } from '@tollgate/contracts';
import { merge, type SharedRow, type Variables } from '../environment/variables.ts';
import type { Constant } from './constants.ts';
import { type Kind, kindOf, KINDS, NO_BOUNDS } from './kinds.ts';

export const UPDATE = 'node --conditions=tollgate scripts/limits/limits-main.ts --write';

type Bounds = Readonly<{ row: SharedRow; range: { least: string; most?: string } | undefined }>;

/** The variables that bound something: every number and every duration but those that say they do not. */
export function boundsOf(variables: Variables): Bounds[] {
  const ranges = new Map(
    SERVICE_NAMES.flatMap((service) => variables[service].map(({ name, range }) => [name, range])),
  );
  return merge(variables)
    .filter(({ name }) => !NO_BOUNDS.has(name))
    .map((row) => ({ row, range: ranges.get(row.name) }))
    .filter(({ row, range }) => range !== undefined || row.name.startsWith('LIMIT_'));
}

/** What is listed as no bound and is no variable any more. */
export function staleNames(variables: Variables): string[] {
  const names = new Set(merge(variables).map(({ name }) => name));
  return [...NO_BOUNDS]
    .filter((name) => !names.has(name))
    .map((name) => `scripts/limits/kinds.ts: there is no ${name}`);
}

/** `docs/limits.md`: every bound of the platform by what it is for, the configured ones first. */
export function limitsPage(variables: Variables, constants: readonly Constant[]): string {
  const kinds = Object.keys(KINDS) as Kind[]; // they are its keys
  const bounds = boundsOf(variables);
  const head = `# Limits

Everything that can grow, wait or repeat has a bound. Those that an installation may want to change are variables
([configuration](configuration.md)); the others are named numbers in the code. What is beyond a bound is refused with a code
(\`rate_limited\`, \`payload_too_large\`, \`dependency_unavailable\` …) or waits for as long as a timeout below says.

This page is made from the schemas and the code: \`${UPDATE}\`.

| kind | meaning | variables | constants |
|---|---|---|---|
${kinds.map((kind) => `| [${kind}](#${kind}) | ${KINDS[kind]} | ${countOf(bounds, kind)} | ${constants.filter(({ name }) => kindOf(name) === kind).length} |`).join('\n')}
`;
  return head + kinds.map((kind) => section(kind, bounds, constants)).join('');
}

const countOf = (bounds: readonly Bounds[], kind: Kind) => bounds.filter(({ row }) => kindOf(row.name) === kind).length;

function section(kind: Kind, bounds: readonly Bounds[], constants: readonly Constant[]): string {
  const variables = bounds.filter(({ row }) => kindOf(row.name) === kind).map(variableLine);
  const numbers = constants.filter(({ name }) => kindOf(name) === kind).map(constantLine);
  const table = (head: string, rows: readonly string[]) =>
    rows.length === 0 ? '' : `\n${head}\n|---|---|---|---|\n${rows.join('\n')}\n`;
  return [
    `\n## ${kind}\n\n${KINDS[kind][0]?.toUpperCase()}${KINDS[kind].slice(1)}.\n`,
    table('| variable | default | allowed | of |', variables),
    table('| constant | value | in | why |', numbers),
  ].join('');
}

function variableLine({ row, range }: Bounds): string {
  const allowed = range ? `${range.least} – ${range.most ?? '…'}` : 'more than 0';
  const of = row.services.length === SERVICE_NAMES.length ? 'all' : row.services.join(', ');
  return `| \`${row.name}\` | ${defaultOf(row)} | ${allowed} | ${of}: ${cell(row.text)} |`;
}

function defaultOf({ defaults }: SharedRow): string {
  const given = [...defaults].filter(([, value]) => value !== '');
  if (new Set(given.map(([, value]) => value)).size > 1)
    return given.map(([service, value]) => `${service} ${value}`).join(', ');
  return given[0]?.[1] ?? '–';
}

const constantLine = ({ file, name, value, text }: Constant): string =>
  `| \`${name}\` | ${cell(value)} | ${file.replace('/src/', ' ').replace(/\.ts$/, '')} | ${cell(text)} |`;

const cell = (text: string): string => text.replaceAll('|', '\\|');
