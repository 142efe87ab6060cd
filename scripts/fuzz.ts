// Thousands of broken requests to every operation, on a platform of their own, with a report:
// `pnpm fuzz [--runs 200] [--valid 40] [--seed 1] [--only auth|accounting|chat-proxy|<operation>] [--report docs/reports/fuzz.md]`
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type Platform, startPlatform } from '@tollgate/test-kit';
import startDatabases from '../packages/test-kit/src/global-setup.ts';
import stopDatabases from '../packages/test-kit/src/global-teardown.ts';
import { type FuzzResult, fuzzOperations } from '../tests/fuzz/operations.ts';
import { allDoors } from '../tests/fuzz/requests/doors.ts';
import { closeConnections } from '../tests/fuzz/stage/send.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    valid: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    report: { type: 'string' },
  },
});

const doors = allDoors().filter(
  ({ service, operation }) =>
    values.only === undefined || values.only === service || values.only.split(',').includes(operation.id),
);

await startDatabases();
const start = performance.now();
let platform: Platform | undefined;
let result: FuzzResult;
try {
  platform = await startPlatform();
  result = await fuzzOperations(platform, doors, {
    seed: Number(values.seed),
    broken: Number(values.runs),
    valid: Number(values.valid),
    progress: (text) => void process.stderr.write(`${Math.round((performance.now() - start) / 1000)} s ${text}\n`),
  });
} finally {
  closeConnections();
  await platform?.stop();
  await stopDatabases();
}
const text = reportOf(result, (performance.now() - start) / 1000);
if (values.report === undefined) process.stdout.write(text);
else await writeFile(values.report, text);
process.exitCode = result.found.length === 0 ? 0 : 1;

function reportOf({ sent, byStatus, found }: FuzzResult, seconds: number): string {
  const statuses = Object.entries(byStatus).map(([status, count]) => `| ${status} | ${count} |`);
  const faults = found.map(
    ({ operation, what, example }) => `### ${operation}\n\n${what}\n\n\`\`\`text\n${example}\n\`\`\`\n`,
  );
  return [
    '# Fuzzed operations\n',
    `Written by \`pnpm fuzz --runs ${values.runs} --valid ${values.valid} --seed ${values.seed}\`: ${sent} requests to ${doors.length} operations in ${Math.round(seconds)} s.\n`,
    '| Status | Answers |\n|---|---|',
    ...statuses,
    `\n## Faults: ${found.length}\n`,
    ...faults,
  ].join('\n');
}
