import { ACCOUNTING_ROWS } from './accounting-rows.ts';
import { AUTH_ROWS } from './auth-rows.ts';
import { NEIGHBOUR_ROWS } from './neighbour-rows.ts';
import { PROXY_ROWS } from './proxy-rows.ts';
import { type Played, play, type Row } from './row.ts';
import { table } from '../table.ts';
import { ELSEWHERE } from './elsewhere.ts';
import type { Stage } from './stage.ts';

/** Two lanes: what auth's database and mail server suffer disturbs nobody who has a token already. */
export async function playAll(stage: Stage, { isShort = false } = {}): Promise<Played[]> {
  const chosen = (rows: readonly Row[]) => rows.filter(({ isLong }) => !isShort || !isLong);
  const lanes = await Promise.all([
    play(stage, chosen(AUTH_ROWS), ['auth', 'authMongo', 'smtp']),
    play(stage, chosen([...PROXY_ROWS, ...ACCOUNTING_ROWS]), ['proxy', 'proxyMongo', 'postgres', 'accounting']),
  ]);
  return [...lanes.flat(), ...(await play(stage, chosen(NEIGHBOUR_ROWS), []))];
}

const HERE = 'tests/proof/dependencies.test.ts';

/** Every row of the catalogue about dependencies, with what was seen or the test that proves it. */
export function dependencyReport(played: readonly Played[]): string {
  const rows = [
    ...played.map(({ row, service, what, seen, wrong }) => ({
      row,
      cells: [`${service}: ${what}`, wrong === '' ? seen : `**wrong**: ${wrong.split('\n')[0] ?? ''}`, HERE],
    })),
    ...ELSEWHERE.map(({ row, what, file, test }) => ({ row, cells: [what, `“… ${test} …”`, file] })),
  ];
  const inOrder = [...Map.groupBy(rows, ({ row }) => row)].flatMap(([row, of]) =>
    of.map(({ cells }) => [row, ...cells]),
  );
  return `# Faults of dependencies, as they end

Written by \`pnpm prove dependencies --report docs/reports/dependency-faults.md\`. Rows that name ${HERE} were played for this
report on a platform of three processes, with TCP and MongoDB lines between them that can be disturbed; the others name the
test that proves them. Redis is not used. A machine that is busy adds to the times; the limits are those of the catalogue.

${table(['row', 'what', 'seen, or test', 'file'], inOrder)}`;
}
