import { accounting, auth, chat, type OperationSpec, type ServiceName } from '@tollgate/contracts';
import { openApiDocument } from '@tollgate/http-kit/openapi';
import type { JsonSchema } from './schema-values.ts';

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly schema: JsonSchema;
  readonly required?: boolean;
}

/** One operation of one service, with its request as JSON Schema. */
export interface Door {
  readonly service: ServiceName;
  readonly operation: OperationSpec;
  readonly parameters: readonly Parameter[];
  readonly body: JsonSchema | undefined;
  readonly components: Readonly<Record<string, JsonSchema>>;
}

interface Described {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
}

/** Mounted only when testing helpers are switched on. */
const isMounted = (operation: OperationSpec): boolean => !operation.path.startsWith('/api/testing');

/** Every operation that the three services serve. */
export function allDoors(): Door[] {
  const contracts = { auth, accounting, 'chat-proxy': chat } as const;
  return Object.entries(contracts).flatMap(([service, contract]) => doorsOf(service as ServiceName, contract));
}

function doorsOf(service: ServiceName, contract: object): Door[] {
  const operations = Object.values(contract).filter(isOperation).filter(isMounted);
  const document = JSON.parse(JSON.stringify(openApiDocument(service, '1', operations))) as {
    paths: Record<string, Record<string, Described>>;
    components: { schemas?: Record<string, JsonSchema> };
  };
  return operations.map((operation) => {
    const described = document.paths[operation.path.replaceAll(/:(\w+)/g, '{$1}')]?.[operation.method.toLowerCase()];
    return {
      service,
      operation,
      parameters: described?.parameters ?? [],
      body: described?.requestBody?.content['application/json']?.schema,
      components: document.components.schemas ?? {},
    };
  });
}

const isOperation = (value: unknown): value is OperationSpec =>
  typeof value === 'object' && value !== null && 'permission' in value && 'path' in value;
