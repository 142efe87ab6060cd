import { describe, expect, it } from '@jest/globals';
import { contractIsUnambiguous } from '../scripts/house-rules/operations.ts';
import { committed, CONTRACTS, openApiFiles } from '../scripts/openapi.ts';

const UPDATE = 'node --conditions=tollgate scripts/openapi.ts --write';

describe('the committed OpenAPI documents', () => {
  it.each([...openApiFiles()])(`%s is what the contracts say (else: ${UPDATE})`, (path, text) => {
    expect(JSON.parse(committed(path) || '{}')).toEqual(JSON.parse(text));
    expect(committed(path)).toBe(text);
  });

  it('name the permission and the callers of every operation', () => {
    for (const text of openApiFiles().values()) {
      const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, Record<string, unknown>>> };
      const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
      expect(operations.length).toBeGreaterThan(0);
      for (const operation of operations) {
        expect(operation).toMatchObject({ 'x-permission': expect.any(String), 'x-callers': expect.anything() });
      }
    }
  });
});

describe('the contracts', () => {
  it.each(['auth', 'accounting', 'chat-proxy'] as const)(
    'of %s give each operation one name and one place',
    (service) => {
      expect(contractIsUnambiguous(service, CONTRACTS[service])).toEqual([]);
    },
  );

  it('are refused when two operations share a method and path, or a name differs from its id', () => {
    const one = { id: 'readIt', method: 'GET', path: '/api/it/:id' };
    const violations = contractIsUnambiguous('auth', { readIt: one, seeIt: { ...one, path: '/api/it/:other' } });
    expect(violations).toEqual([
      'contracts of auth: seeIt has the id readIt',
      'contracts of auth: GET /api/it/:* is readIt and seeIt',
    ]);
  });
});
