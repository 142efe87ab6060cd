import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describeConfig, type VariableRow } from '@tollgate/config';
import { SERVICE_NAMES, type ServiceName } from '@tollgate/contracts';

/** Every variable of every service, as the schemas in services/x/src/config.ts declare them. */
export type Variables = Readonly<Record<ServiceName, readonly VariableRow[]>>;

export async function readVariables(): Promise<Variables> {
  const [auth, proxy, accounting] = await Promise.all([rowsOf('auth'), rowsOf('chat-proxy'), rowsOf('accounting')]);
  return { auth, 'chat-proxy': proxy, accounting };
}

async function rowsOf(service: ServiceName): Promise<VariableRow[]> {
  const file = resolve('services', service, 'src', 'config.ts');
  if (!existsSync(file)) throw new Error(`services/${service}/src/config.ts is missing`);
  const module: unknown = await import(pathToFileURL(file).href);
  const [schema, ...others] = Object.values(Object(module)).filter(isEnvironmentSchema);
  if (!schema || others.length > 0) {
    throw new Error(`services/${service}/src/config.ts must export one schema of variables`);
  }
  return describeConfig(schema);
}

type Schema = Parameters<typeof describeConfig>[0];

/** A zod object whose keys are names of environment variables. */
function isEnvironmentSchema(value: unknown): value is Schema {
  if (typeof value !== 'object' || value === null || !('_zod' in value) || !('shape' in value)) return false;
  return Object.keys(Object(value.shape)).every((name) => /^[A-Z][A-Z0-9_]*$/.test(name));
}

/** A variable and the services that read it. */
export interface SharedRow {
  readonly name: string;
  readonly text: string;
  readonly aliases: readonly string[];
  readonly secret: boolean;
  readonly required: boolean;
  readonly services: readonly ServiceName[];
  /** The defaults of the services that have one. */
  readonly defaults: ReadonlyMap<ServiceName, string>;
}

/** One row per name, in the order of the schemas. */
export function merge(variables: Variables): SharedRow[] {
  const uses = SERVICE_NAMES.flatMap((service) => variables[service].map((row) => ({ service, row })));
  return [...Map.groupBy(uses, ({ row }) => row.name)].map(([name, sharing]) => ({
    name,
    text: sharing[0]?.row.text ?? '',
    aliases: [...new Set(sharing.flatMap(({ row }) => row.aliases))],
    secret: sharing.some(({ row }) => row.secret),
    required: sharing.some(({ row }) => row.required),
    services: sharing.map(({ service }) => service),
    defaults: new Map(
      sharing.flatMap(({ service, row }) => (row.default === undefined ? [] : [[service, row.default] as const])),
    ),
  }));
}

/** One name means one thing: the same sentence, the same aliases and the same secrecy wherever it is read. */
export function contradictions(variables: Variables): string[] {
  const uses = SERVICE_NAMES.flatMap((service) => variables[service].map((row) => ({ service, row })));
  return [...Map.groupBy(uses, ({ row }) => row.name)].flatMap(([name, sharing]) => {
    const unsaid = sharing
      .filter(({ row }) => row.text === '')
      .map(({ service }) => `${name} has no sentence in ${service}`);
    const meanings = new Set(sharing.map(({ row }) => JSON.stringify([row.text, row.aliases, row.secret])));
    const readers = sharing.map(({ service, row }) => `${service}: ${row.text}`).join(' | ');
    return [...unsaid, ...(meanings.size > 1 ? [`${name} means different things: ${readers}`] : [])];
  });
}
