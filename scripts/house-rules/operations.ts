import type { OperationSpec } from '@tollgate/contracts';
import type { ServiceName } from '@tollgate/contracts';
import { placeOf, type Rule, type SourceTree } from './source-tree.ts';

/** The operations of a contract, under the names they are exported by. */
export type Contract = Readonly<Record<string, unknown>>;

export const operationsOf = (contract: Contract): (readonly [name: string, operation: OperationSpec])[] =>
  Object.entries(contract).filter((entry): entry is [string, OperationSpec] => isOperation(entry[1]));

const isOperation = (value: unknown): value is OperationSpec =>
  typeof value === 'object' && value !== null && 'id' in value && 'method' in value && 'path' in value;

const SERVE = /\bserve\(\s*(?:\w+\.)*(\w+)\s*,?\s*\)/g;

/** Names given to `serve(…)` in the routes of a service, in the order they stand there. */
const mountedIn = (service: string, { files }: SourceTree): string[] =>
  files
    .filter(({ path }) => placeOf(path)?.service === service && placeOf(path)?.layer === 'routes')
    .flatMap(({ text }) => [...text.matchAll(SERVE)].map(([, name = '']) => name));

/** Every operation of a contract is served by its service, once. */
export const mountedOnce =
  (service: ServiceName, contract: Contract): Rule =>
  (tree) => {
    const declared = operationsOf(contract).map(([name]) => name);
    const counts = new Map(declared.map((name) => [name, 0]));
    const strangers: string[] = [];
    for (const name of mountedIn(service, tree)) {
      const count = counts.get(name);
      if (count === undefined) strangers.push(name);
      else counts.set(name, count + 1);
    }
    const wrong = [...counts].filter(([, count]) => count !== 1);
    return [
      ...wrong.map(([name, count]) => `services/${service}/src/routes: ${name} is mounted ${count} times`),
      ...strangers.map((name) => `services/${service}/src/routes: ${name} is in no contract of this service`),
    ];
  };

/** Exported name = id, and no two operations answer one method and path. */
export function contractIsUnambiguous(service: ServiceName, contract: Contract): string[] {
  const operations = operationsOf(contract);
  const misnamed = operations.filter(([name, { id }]) => name !== id);
  const places = Map.groupBy(operations, ([, { method, path }]) => `${method} ${path.replaceAll(/:\w+/g, ':*')}`);
  const doubled = [...places].filter(([, sharing]) => sharing.length > 1);
  return [
    ...misnamed.map(([name, { id }]) => `contracts of ${service}: ${name} has the id ${id}`),
    ...doubled.map(
      ([place, sharing]) => `contracts of ${service}: ${place} is ${sharing.map(([n]) => n).join(' and ')}`,
    ),
  ];
}
