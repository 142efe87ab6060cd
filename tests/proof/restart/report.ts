import { table } from '../table.ts';
import type { RestartOptions, Restarted } from './restart.ts';

const MOST_FAILED_SHARE = 0.001;
const LONGEST_EXIT_SECONDS = 45;
const SHOWN = 10;

const SERVER_ERROR = 500;

function figuresOf({ answers, restarts }: Restarted) {
  const counts = Object.entries(answers.statuses).map(([status, count]) => ({ status: Number(status), count }));
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const failed = counts.filter(({ status }) => status >= SERVER_ERROR).reduce((sum, { count }) => sum + count, 0);
  const exits = restarts.map(({ exitSeconds }) => exitSeconds).toSorted((one, other) => one - other);
  return { counts, total, failed, exits };
}

/** The promise of the fault catalogue, C.3. */
export function isSmooth(restarted: Restarted): boolean {
  const { ran, answers, restarts, refused } = restarted;
  const { total, failed } = figuresOf(restarted);
  return (
    ran.violations.length === 0 &&
    failed <= total * MOST_FAILED_SHARE &&
    answers.withoutRetryAfter.length === 0 &&
    refused === 0 &&
    restarts.length > 0 &&
    restarts.every(({ code, exitSeconds }) => code === 0 && exitSeconds <= LONGEST_EXIT_SECONDS)
  );
}

export function restartReport(options: Omit<RestartOptions, 'say'>, restarted: Restarted): string {
  const { ran, answers, restarts, refused, openings } = restarted;
  const { counts, total, failed, exits } = figuresOf(restarted);
  const { seed, rate, rounds, instances, leaseSeconds } = options;
  return `# A rolling restart under load

Written by \`pnpm prove restart --seed ${seed} --rate ${rate} --rounds ${rounds} --instances ${instances} --lease ${leaseSeconds}\`:
${instances} processes of each service behind load balancers that ask \`/health/ready\` every second and know nothing else. Each is
told to stop by SIGTERM while ${rate} operations a second go on (chats at every door, clients that leave, stop and repeat,
deductions, grants, deliveries, refreshes), and the next one only when its successor is given connections.

**${isSmooth(restarted) ? 'Smooth: nothing lost, nothing doubled.' : 'Not as promised.'}**

${table(
  ['figure', 'value'],
  [
    ['processes restarted', restarts.length],
    ['operations', ran.outcomes.length],
    ['violations: lost, doubled, or any other', ran.violations.length],
    ['answers of HTTP', total],
    ['of them 5xx', `${failed} (${((failed / Math.max(1, total)) * 100).toFixed(3)} %)`],
    ['5xx without Retry-After', answers.withoutRetryAfter.length],
    ['connections that ended before their answer', answers.cut.length],
    ['connections for which no process was ready', refused],
    ['seconds from SIGTERM to the exit, median and longest', `${exits[exits.length >> 1] ?? 0}, ${exits.at(-1) ?? 0}`],
    ['exits with another code than 0', restarts.filter(({ code }) => code !== 0).length],
    ['holds, of them closed by their lease', `${ran.facts.holds.length}, ${expired(restarted)}`],
    ['operations began late, median and worst', `${ran.lateMs.median} ms, ${ran.lateMs.worst} ms`],
  ],
)}
## Answers by status

${table(
  ['status', 'answers'],
  counts.map(({ status, count }) => [status, count]),
)}
${table(['refused or failed', 'answers'], Object.entries(answers.refusals))}
## How operations ended for their clients

${table(['ending', 'times'], Object.entries(openings))}
## Restarts

${table(
  ['service', 'exit code', 'seconds to the exit', 'seconds to its successor'],
  restarts.map(({ service, code, exitSeconds, readySeconds }) => [service, String(code), exitSeconds, readySeconds]),
)}${list('Connections that were cut', answers.cut)}${list('5xx without Retry-After', answers.withoutRetryAfter)}${list(
  'Violations',
  ran.violations.map((violation) => JSON.stringify(violation)),
)}`;
}

const expired = ({ ran }: Restarted): number => ran.facts.holds.filter(({ status }) => status === 'expired').length;

function list(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  const shown = lines.slice(0, SHOWN).map((line) => `- ${line}\n`);
  return `\n## ${title}\n\n${shown.join('')}`;
}
