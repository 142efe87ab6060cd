import { describe, expect, it } from '@jest/globals';
import { type OperationSpec, PERMISSIONS } from '@tollgate/contracts';
import { cellsOf, isUnjudged, REACHES } from '@tollgate/test-kit';
import { operationsOf } from '../scripts/house-rules/operations.ts';
import { committed, CONTRACTS } from '../scripts/openapi.ts';
import { PERMISSIONS_PAGE, permissionsPage } from '../scripts/permissions.ts';

const UPDATE = 'node --conditions=tollgate scripts/permissions.ts --write';
const operations = Object.values(CONTRACTS).flatMap((contract) => operationsOf(contract).map(([, one]) => one));

describe('the page of permissions', () => {
  it(`is what the contracts say (else, when the change is meant: ${UPDATE})`, () => {
    expect(committed(PERMISSIONS_PAGE)).toBe(permissionsPage());
  });

  it('has a line for every operation of every service', () => {
    const page = committed(PERMISSIONS_PAGE);
    const unlisted = operations.filter(({ method, path }) => !page.includes(`| \`${method} ${path}\` |`));
    expect(unlisted.map(({ id }) => id)).toEqual([]);
    expect(page.split('\n').filter((line) => /^\| `(GET|POST|PUT|PATCH|DELETE) /.test(line))).toHaveLength(
      operations.length,
    );
  });

  it('changes with a permission: another line of the table of permissions is another row of the page', () => {
    const operation = operations.find(({ id }) => id === 'listAllocations');
    if (!operation) throw new Error('listAllocations has another name now');
    const opened: OperationSpec = { ...operation, permission: 'credits:read-own' };
    expect(PERMISSIONS['credits:read-own']).toContain('enduser');
    expect(cellsOf(operation, 'accounting')['end user']).toBe('403');
    expect(cellsOf(opened, 'accounting')['end user']).toBe('yes');
  });
});

describe('what reaches for something of others', () => {
  it('says of every operation what somebody from another workspace meets there', () => {
    expect(operations.filter(isUnjudged).map(({ id }) => id)).toEqual([]);
  });

  it('names no operation that there is not', () => {
    const ids = new Set(operations.map(({ id }) => id));
    expect(Object.keys(REACHES).filter((id) => !ids.has(id))).toEqual([]);
  });
});
