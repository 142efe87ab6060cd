// Writes down who may do what: every operation, every kind of caller. `--write` updates docs/permissions.md; without it, says whether
// the page differs and exits 1. A change of the page is a change of what the product allows, and is read as one.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WORKSPACE_PERMISSIONS, WORKSPACE_ROLES } from '@tollgate/contracts';
import { cellsOf, MATRIX_CALLERS } from '@tollgate/test-kit';
import { operationsOf } from './house-rules/operations.ts';
import { committed, CONTRACTS } from './openapi.ts';

export const PERMISSIONS_PAGE = join('docs', 'permissions.md');

const INTRODUCTION = `# Who may do what

Every operation of the three services, and what each kind of caller meets. The page is written by \`scripts/permissions.ts\` from the
contracts; a test compares the two, and \`tests/e2e/permissions.test.ts\` calls every cell that refuses and,
for API keys and for what only reads, every cell that lets in.

- **yes**: let in. Whoever is let in still sees only their own things, unless the operation says otherwise.
- **filtered**: let in, and shown only what belongs to the workspace of the token.
- **401**, **403**, **404**: refused with this status. What belongs to others does not exist (404).
- A **supervisor** is one of the workspace of the token: of the default workspace, where everybody belongs, or of another one, as its
  owner, administrator or supervisor. An **admin** is one of the installation.
- **API key** is one of an admin with every scope there is; a scope is a permission of the second column.
- **admin of another workspace** holds a token of a workspace that the thing asked for does not belong to.
- \`/api/testing\` exists only where it is switched on, and never in production.
`;

const WITHIN = `## Within a workspace

Operations under \`/api/workspaces/:workspaceId\` ask further what the caller is in that workspace, as it is stored at that moment. An
admin of the installation may do what an owner may. Whoever is no member gets 404.
`;

/** The page as it must stand in docs. */
export function permissionsPage(): string {
  const services = Object.entries(CONTRACTS).map(([service, contract]) => {
    const operations = operationsOf(contract).map(([, operation]) => operation);
    const inOrder = operations.toSorted((a, b) => (`${a.path} ${a.method}` < `${b.path} ${b.method}` ? -1 : 1));
    const rows = inOrder.map((operation) => {
      const cells = cellsOf(operation, service as keyof typeof CONTRACTS); // its own key
      const named = [code(`${operation.method} ${operation.path}`), code(operation.permission)];
      return line([...named, ...MATRIX_CALLERS.map((caller) => cells[caller])]);
    });
    return `## ${service}\n\n${table(['operation', 'permission', ...MATRIX_CALLERS], rows)}`;
  });
  const within = Object.entries(WORKSPACE_PERMISSIONS).map(([permission, roles]) =>
    line([
      code(permission),
      ...WORKSPACE_ROLES.map((role) => ((roles as readonly string[]).includes(role) ? 'yes' : '403')),
    ]),
  );
  return [INTRODUCTION, ...services, `${WITHIN}\n${table(['permission', ...WORKSPACE_ROLES], within)}`].join('\n');
}

const code = (text: string): string => `\`${text}\``;
const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], rows: readonly string[]): string =>
  [line(head), line(head.map(() => '---')), ...rows, ''].join('\n');

if (import.meta.main) {
  const page = permissionsPage();
  if (process.argv.includes('--write')) writeFileSync(PERMISSIONS_PAGE, page);
  else if (committed(PERMISSIONS_PAGE) !== page) {
    process.stdout.write(`${PERMISSIONS_PAGE}: differs from the contracts\n`);
    process.exitCode = 1;
  }
}
