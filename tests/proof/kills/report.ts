import { table } from '../table.ts';
import type { Kind } from './judge.ts';
import type { Played } from './kills.ts';
import type { CycleReport } from './run-cycle.ts';
import { STEPS, VICTIMS } from './steps.ts';
import { SCALE } from './world.ts';

/** acceptance.md: every hold is terminal 90 s after its owner died. */
const LIMIT_MS = 90_000 / SCALE;

const KINDS: readonly Kind[] = ['lost', 'double', 'negative', 'open', 'unsure', 'history'];
const ms = (value: number): string => `${Math.round(value)} ms`;
const isLate = ({ settledMs }: CycleReport): boolean => settledMs > LIMIT_MS;

export const isClean = ({ cycles, faults }: Played): boolean =>
  faults.length === 0 && cycles.every((report) => report.faults.length === 0 && !isLate(report));

/** One cycle in one line, while it is played. */
export function lineOf(report: CycleReport): string {
  const { cycle, faults, answers, settledMs, toldMs, tookMs } = report;
  const places = answers.map(
    ({ asked, hasReached, key }) =>
      `${asked.place.name}${hasReached ? '' : '?'}${key === undefined ? '' : '+key'} ${asked.door.name}/${asked.upstream}`,
  );
  const wrong = faults.map(({ kind, what }) => `\n      ${kind}: ${what}`).join('');
  const how = cycle.isSudden ? 'abort' : 'pause';
  return `${cycle.id} ${cycle.victim} ${how} [${places.join('; ')}] settled ${ms(settledMs)} told ${ms(toldMs)} took ${ms(tookMs)}${isLate(report) ? ' LATE' : ''}${wrong}`;
}

export function killReport(
  { seed, cycles, worlds }: { readonly seed: number; readonly cycles: number; readonly worlds: number },
  { cycles: reports, faults: atTheEnd, engines }: Played,
): string {
  const answers = reports.flatMap((report) => report.answers);
  const faults = [...reports.flatMap((report) => report.faults), ...atTheEnd];
  const settled = reports.map(({ settledMs }) => settledMs).toSorted((one, other) => one - other);
  const at = (share: number): number => settled[Math.min(settled.length - 1, Math.floor(settled.length * share))] ?? 0;
  const counted = KINDS.map((kind) => [kind, faults.filter((fault) => fault.kind === kind).length] as const);
  const rows = VICTIMS.map((victim) => [
    victim,
    ...STEPS.map((step) => {
      const own = reports.filter(({ cycle }) => cycle.victim === victim && cycle.answers[0].place.step === step);
      const wrong = own.filter((report) => report.faults.length > 0).length;
      return wrong === 0 ? String(own.length) : `${own.length}, ${wrong} wrong`;
    }),
  ]);
  const wrong = reports.filter((report) => report.faults.length > 0 || isLate(report));
  return [
    '# Killed at every step',
    '',
    `Written by \`pnpm prove kills --cycles ${cycles} --seed ${seed} --worlds ${worlds}\`. Leases and intervals run at one ${SCALE}th, so that 90 s are ${ms(LIMIT_MS)}.`,
    `Databases: ${engines.join(', ')}.`,
    'In each cycle chat-proxy (P), accounting (A), PostgreSQL (D) or the Mongo server (M) is killed with SIGKILL while answers stand at',
    'known steps, and started again. The steps are those of the fault catalogue, C.2.',
    '',
    table(
      ['what', 'figure'],
      [
        ['cycles', reports.length],
        ['answers', answers.length],
        ['answers that stood at their step', answers.filter(({ hasReached }) => hasReached).length],
        ['of them repeated with an Idempotency-Key', answers.filter(({ again }) => again !== undefined).length],
        ...counted.map(([kind, count]) => [kind, count]),
        ['cycles later than 90 s, to scale', reports.filter(isLate).length],
        ['last hold terminal after everything ran again: median', ms(at(0.5))],
        ['95 of 100', ms(at(0.95))],
        ['at most', ms(at(1))],
      ],
    ),
    'Cycles for each victim and step:',
    '',
    table(['', ...STEPS], rows),
    'When all was over, the ledger (I1-I9) and the audit log (I10) were verified by the services themselves.',
    '',
    ...(wrong.length + atTheEnd.length === 0
      ? []
      : [
          'What was wrong:',
          '',
          ...wrong.map((report) => `- ${lineOf(report)}`),
          ...atTheEnd.map(({ kind, what }) => `- ${kind}: ${what}`),
          '',
        ]),
  ].join('\n');
}
