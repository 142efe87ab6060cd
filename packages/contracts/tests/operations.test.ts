import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { accounting, auth, chat, ERROR_CODES, type OperationSpec, PERMISSIONS, ROLES } from '../src/index.ts';

const SERVICES = { auth, accounting, chat } as const;
const isOperation = (value: unknown): value is OperationSpec =>
  typeof value === 'object' && value !== null && 'method' in value && 'path' in value && 'permission' in value;
const all = Object.entries(SERVICES).flatMap(([service, exported]) =>
  Object.entries(exported as Record<string, unknown>).flatMap(([name, value]) =>
    isOperation(value) ? [{ service, name, value }] : [],
  ),
);
const duplicates = (values: readonly string[]): string[] =>
  values.filter((value, index) => values.indexOf(value) !== index);

it('Every service has operations', () => {
  for (const service of Object.keys(SERVICES))
    expect(all.filter((one) => one.service === service).length).toBeGreaterThan(0);
});

describe.each(all.map((one) => [`${one.service}.${one.name}`, one] as const))('%s', (_title, { name, value }) => {
  it('is exported under its own id and names a line of the permission table', () => {
    expect(value.id).toBe(name);
    expect(Object.keys(PERMISSIONS)).toContain(value.permission);
    expect(value.summary.length).toBeGreaterThan(5);
  });

  it('has a plain path whose parameters are all described', () => {
    expect(value.path).toMatch(/^\/(?:(?:[\w.-]+|:\w+)(?:\/(?:[\w.-]+|:\w+))*\/?)?$/);
    const inPath = [...value.path.matchAll(/:(\w+)/g)].map(([, parameter = '']) => parameter);
    const described = value.params instanceof z.ZodObject ? Object.keys(value.params.shape) : [];
    expect(new Set(described)).toEqual(new Set(inPath));
  });

  it('takes a body and a key only where HTTP gives them a meaning', () => {
    const isRead = value.method === 'GET';
    expect(isRead && (value.body !== undefined || value.idempotencyKey !== undefined)).toBe(false);
  });

  it('decides about anything it is sent without throwing', () => {
    for (const schema of [value.params, value.query, value.body])
      for (const sent of [
        undefined,
        null,
        [],
        'x',
        1,
        true,
        {},
        Object.create(null),
        JSON.parse('{"__proto__":{"a":1}}'),
        { $ne: null },
        '\ud800',
      ])
        expect(() => schema?.safeParse(sent)).not.toThrow();
  });

  it('lists errors that exist, once each, and succeeds with success statuses', () => {
    const errors = value.errors ?? [];
    for (const code of errors) expect(Object.keys(ERROR_CODES)).toContain(code);
    expect(duplicates(errors)).toEqual([]);
    // 101: the connection goes on as a WebSocket.
    for (const status of [value.status ?? 200, ...(value.alsoStatus ?? [])])
      expect(status === 101 || (status >= 200 && status < 400)).toBe(true);
  });
});

it('No two operations share an id', () => {
  expect(duplicates(all.map(({ value }) => value.id))).toEqual([]);
});

it('No two operations of a service share a method and a path, whatever their parameters are called', () => {
  expect(
    duplicates(all.map(({ service, value }) => `${service} ${value.method} ${value.path.replaceAll(/:\w+/g, ':')}`)),
  ).toEqual([]);
});

it('Every POST that moves money needs an Idempotency-Key or closes something for ever', () => {
  const money = all.filter(
    ({ value }) => value.method === 'POST' && ['holds:write', 'credits:allocate'].includes(value.permission),
  );
  const keyless = money.filter(({ value }) => value.idempotencyKey === undefined).map(({ name }) => name);
  // The items of a batch have a key each.
  const known = ['renewHold', 'renewHolds', 'holdCreditsBatch', 'closeHoldsBatch'];
  expect(keyless.filter((name) => !known.includes(name))).toEqual([]);
});

describe('The permission table', () => {
  it('knows nobody but the public, services and the three roles', () => {
    for (const callers of Object.values(PERMISSIONS)) {
      if (callers === 'anyone' || callers === 'service') continue;
      expect(callers.length).toBeGreaterThan(0);
      for (const role of callers) expect(ROLES).toContain(role);
      // Whatever a lower role may do, an administrator may.
      expect(callers).toContain('admin');
    }
  });

  it('has no line that no operation uses', () => {
    const used = new Set(all.map(({ value }) => value.permission));
    expect(Object.keys(PERMISSIONS).filter((line) => !used.has(line as keyof typeof PERMISSIONS))).toEqual([]);
  });
});
