import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { operationsOf } from '../../scripts/house-rules/operations.ts';
import { CONTRACTS } from '../../scripts/openapi.ts';

const RUNBOOK = readFileSync('docs/runbook.md', 'utf8');
/** Beside the contracts: docs/architecture.md. */
const OF_EVERY_SERVICE = new Set(['/health/live', '/health/ready', '/metrics']);

const ROUTES = Object.values(CONTRACTS).flatMap((contract) => operationsOf(contract).map(([, operation]) => operation));

/** Whether somebody serves it. `:name` stands for what is filled in, `…` for the beginning of the route before. */
const isServed = (method: string | undefined, path: string): boolean =>
  OF_EVERY_SERVICE.has(path) ||
  ROUTES.some((route) => (method === undefined || route.method === method) && isSame(route.path, path));

function isSame(route: string, told: string): boolean {
  const [parts, said] = [route.split('/'), told.split('/')];
  return (
    parts.length === said.length &&
    parts.every((part, at) => (part.startsWith(':') ? said[at] !== '' : part === said[at]))
  );
}

it('every route that the runbook tells to call is served, with that method', () => {
  const told = [...RUNBOOK.matchAll(/`(GET|POST|PUT|PATCH|DELETE)\s+(\/[^`\s?]+)/g)];
  expect(told.length).toBeGreaterThan(5);
  expect(told.filter(([, method, path = '']) => !isServed(method, path)).map(([text]) => text)).toEqual([]);
});

it('every parameter of a route is named as its contract names it', () => {
  const told = [...RUNBOOK.matchAll(/`(?:GET|POST|PUT|PATCH|DELETE)\s+(\/[^`\s?]*:[^`\s?]*)/g)].map(
    ([, path = '']) => path,
  );
  const known = new Set(ROUTES.map(({ path }) => path));
  expect(told.filter((path) => !known.has(path))).toEqual([]);
});

it('every address in a command of the runbook is served', () => {
  const called = [...RUNBOOK.matchAll(/\$(?:AUTH|ACCOUNTING|CHAT|url)(\/[\w/:-]+)/g)].map(([, path = '']) => path);
  expect(called.length).toBeGreaterThan(3);
  expect(called.filter((path) => !isServed(undefined, path))).toEqual([]);
});
