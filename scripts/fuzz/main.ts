// Thousands of broken requests to every operation, on a platform of their own, with a report:
// `pnpm fuzz [--runs 200] [--valid 40] [--raw 1000] [--seed 1] [--only auth|accounting|chat-proxy|<operation>] [--report docs/reports/fuzz.md]`
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { JSON_TEXTS, type Platform, startPlatform } from '@tollgate/test-kit';
import startDatabases from '../../packages/test-kit/src/global-setup.ts';
import stopDatabases from '../../packages/test-kit/src/global-teardown.ts';
import { type Found, type FuzzResult, fuzzOperations } from '../../tests/fuzz/operations.ts';
import { allDoors } from '../../tests/fuzz/requests/doors.ts';
import { fuzzFrames } from '../../tests/fuzz/raw/frames.ts';
import { fuzzRaw } from '../../tests/fuzz/raw/fuzz-raw.ts';
import { expressionsIn, publishedPatterns, slowAmong } from '../../tests/fuzz/regexes.ts';
import { closeConnections } from '../../tests/fuzz/stage/send.ts';
import { judgeJsonTexts } from '../../tests/fuzz/texts/json-verdicts.ts';
import { keepTexts } from '../../tests/fuzz/texts/keep-texts.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    valid: { type: 'string', default: '40' },
    raw: { type: 'string', default: '1000' },
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
const found: Found[] = [];
const lines: string[] = [];
const note = (what: string, more: readonly Found[]): void => {
  found.push(...more);
  lines.push(`| ${what} | ${more.length} |`);
  process.stderr.write(`${seconds()} s ${what}\n`);
};
const seed = Number(values.seed);
let operations: FuzzResult | undefined;
try {
  // First: it lets nothing else run meanwhile.
  const expressions = new Map([...publishedPatterns(), ...(await expressionsIn('packages/contracts/src'))]);
  const slow = slowAmong(expressions).map(({ pattern, where, why }) => ({
    operation: where,
    what: why,
    example: pattern,
  }));
  note(`${expressions.size} regular expressions of the contracts`, slow);
  platform = await startPlatform();
  const raw = await fuzzRaw(platform, { seed, runs: Number(values.raw) });
  note(`${raw.sent} connections with what is no good HTTP, to both frameworks`, raw.found);
  const frames = await fuzzFrames(platform, JSON_TEXTS);
  note(`${frames.sent} WebSockets with what may come over one`, frames.found);
  const texts = await keepTexts(platform, 1);
  note(`${texts.kept + texts.refused} texts kept (${texts.kept}) or refused (${texts.refused})`, texts.found);
  note(`${JSON_TEXTS.length} texts at the edge of JSON, to three services`, await judgeJsonTexts(platform));
  operations = await fuzzOperations(platform, doors, {
    seed,
    broken: Number(values.runs),
    valid: Number(values.valid),
    doorsAtOnce: 1,
    progress: (text) => void process.stderr.write(`${seconds()} s ${text}\n`),
  });
  note(`${operations.sent} requests to ${doors.length} operations`, operations.found);
} finally {
  closeConnections();
  await platform?.stop();
  await stopDatabases();
}
const text = reportOf(operations);
if (values.report === undefined) process.stdout.write(text);
else await writeFile(values.report, text);
process.exitCode = found.length === 0 ? 0 : 1;

function seconds(): number {
  return Math.round((performance.now() - start) / 1000);
}

function reportOf({ byStatus, seenOnce }: FuzzResult): string {
  const statuses = Object.entries(byStatus).map(([status, count]) => `| ${status} | ${count} |`);
  const told = (all: readonly Found[]) =>
    all.map(({ operation, what, example }) => `### ${operation}\n\n${what}\n\n\`\`\`text\n${example}\n\`\`\`\n`);
  return [
    '# Fuzz\n',
    `Written by \`pnpm fuzz --runs ${values.runs} --valid ${values.valid} --raw ${values.raw} --seed ${values.seed}\` in ${seconds()} s.\n`,
    '| Sent | Faults |\n|---|---|',
    ...lines,
    '\n## Answers of the operations\n\n| Status | Answers |\n|---|---|',
    ...statuses,
    `\n## Faults: ${found.length}\n`,
    ...told(found),
    `## Changes beside refusals that did not come again: ${seenOnce.length}\n`,
    ...seenOnce.map(({ operation, what }) => `- ${operation}: ${what}`),
    '',
  ].join('\n');
}
