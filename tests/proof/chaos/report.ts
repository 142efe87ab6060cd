import { acknowledged, kindOf } from './floor.ts';
import type { History, Line } from './history.ts';
import type { Violation } from './judge.ts';
import type { Ran } from './run.ts';
import type { Schedule } from './schedule.ts';
import { table } from '../table.ts';

const AROUND_MS = 3000;
const SHOWN = 10;
const SHOWN_LINES = 60;

function counted(names: readonly string[]): [string, number][] {
  const groups = [...Map.groupBy(names, (name) => name)].map(([name, same]): [string, number] => [name, same.length]);
  return groups.toSorted(([, one], [, other]) => other - one);
}

/** The whole run on a page. */
export function reportOf(schedule: Schedule, ran: Ran, command: string): string {
  const { options, faults, operations } = schedule;
  const byId = new Map(operations.map((operation) => [operation.id, operation]));
  const endings = ran.outcomes.map(({ id, ending }) => `${byId.get(id)?.kind ?? '?'} | ${ending}`);
  const faultNames = faults.map((fault) => (fault.kind === 'link' ? `${fault.link}: ${fault.effect}` : nameOf(fault)));
  const { facts, lateMs } = ran;
  const told = acknowledged(operations, ran.outcomes);
  const charged = facts.holds.filter((hold) => hold.charged > 0);
  return `# Chaos, seed ${options.seed}

Written by \`${command}\`: ${options.seconds} seconds at ${options.rate} operations a second,
${Object.entries(options.instances)
  .map(([name, count]) => `${count} × ${name}`)
  .join(', ')}; ${faults.length} faults.

**${ran.violations.length === 0 ? 'Clean: nothing lost, nothing doubled.' : `${ran.violations.length} violations.`}**

${table(
  ['figure', 'value'],
  [
    ['operations', ran.outcomes.length],
    ['of them acknowledged, refused, unknown to their client', verdictsOf(ran)],
    ['calls that hung', ran.outcomes.filter(({ isHung }) => isHung).length],
    ['payers, whose balances name what was charged', schedule.payers],
    ['holds, of them charged', `${facts.holds.length}, ${charged.length}`],
    ['holds closed by their lease', facts.holds.filter(({ status }) => status === 'expired').length],
    ['holds corrected by a late settlement', facts.holds.filter(({ settlements }) => settlements > 1).length],
    ['from the last client to the last end of a hold', `${facts.quietAfterMs} ms`],
    ['operations began late, median and worst', `${lateMs.median} ms, ${lateMs.worst} ms`],
    [
      "turns of the runner's own event loop, 99th percentile and worst",
      `${ran.turnMs.usual} ms, ${ran.turnMs.worst} ms`,
    ],
    ['the whole run', `${Math.round(ran.seconds)} s`],
  ],
)}
## Invariants

${table(
  ['', 'invariant', 'offenders'],
  facts.verdicts.map(({ invariant, title, offenders }) => [invariant, title, offenders]),
)}
## Faults

${table(['fault', 'times'], counted(faultNames))}
## Operations

${table(
  ['kind', 'times', 'acknowledged', 'to a repetition too'],
  counted(operations.map(kindOf)).map(([kind, times]) => {
    const { done = 0, repeated = 0 } = told.get(kind) ?? {};
    return [kind, times, done, repeated];
  }),
)}
${table(
  ['kind', 'how it ended for its client', 'times'],
  counted(endings).map(([name, times]) => [...name.split(' | '), times]),
)}
## Processes at the end

${table(
  ['process', 'ready', 'resident MB', 'open files'],
  facts.processes.map(({ name, trouble: said, residentMegabytes, openFiles }) => [
    name,
    said === undefined ? 'yes' : 'NO',
    residentMegabytes,
    openFiles,
  ]),
)}`;
}

const nameOf = (fault: Exclude<Schedule['faults'][number], { kind: 'link' }>): string =>
  'database' in fault ? `${fault.kind} ${fault.database}` : `${fault.kind} ${fault.service}`;

function verdictsOf({ outcomes }: Ran): string {
  const of = (verdict: string): number => outcomes.filter((outcome) => outcome.verdict === verdict).length;
  return `${of('done')}, ${of('not')}, ${of('maybe')}`;
}

/** What is wrong, each with its rows and with what happened around it. */
export function trouble(violations: readonly Violation[], history: History): string {
  return violations
    .slice(0, SHOWN)
    .map((violation) => {
      const { invariant, what, rows, operation } = violation;
      const lines = operation === undefined ? [] : around(history.lines, operation);
      return [
        `${invariant}: ${what} ${JSON.stringify({ payer: violation.payer, operation })}`,
        ...rows.map((row) => `   ${JSON.stringify(row)}`),
        ...lines.map((line) => `      ${JSON.stringify(line)}`),
      ].join('\n');
    })
    .join('\n\n');
}

/** The operation's own lines, and the faults of that time. */
function around(lines: readonly Line[], operation: number): Line[] {
  const own = lines.filter((line) => line.operation === operation);
  const from = (own[0]?.t ?? 0) - AROUND_MS;
  const to = (own.at(-1)?.t ?? 0) + AROUND_MS;
  return lines
    .filter(
      ({ t, operation: other, what }) =>
        other === operation || (t >= from && t <= to && what !== 'invoke' && other === undefined),
    )
    .slice(0, SHOWN_LINES);
}
