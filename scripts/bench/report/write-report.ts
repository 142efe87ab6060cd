import { fixed, type Section, type Short, type Table, whole } from './section.ts';

export interface Report {
  readonly command: string;
  /** The machine and how it was measured. */
  readonly about: readonly string[];
  readonly seconds: number;
  readonly sections: readonly (readonly [name: string, section: Section])[];
}

/** The whole report as Markdown: the targets first, then what was measured. */
export function reportOf({ command, about, seconds, sections }: Report): string {
  const findings = sections.flatMap(([name, { findings: rows }]) =>
    rows.map(({ figure, target, measured, ratio, verdict }) => [name, figure, target, measured, ratio, verdict]),
  );
  const parts = sections.flatMap(([name, { tables, notes = [] }]) => [
    `## ${name}\n`,
    ...notes.map((note) => `${note}\n`),
    ...tables.map(tableOf),
  ]);
  const short = sections.flatMap(([, section]) => section.short ?? []);
  return [
    '# Bench\n',
    `Written by \`${command}\` in ${seconds} s.\n`,
    ...about.map((line) => `- ${line}`),
    '',
    tableOf({
      title: 'Against the targets',
      head: ['bench', 'figure', 'target', 'measured', 'ratio', 'verdict'],
      rows: findings,
    }),
    ...(short.length > 0 ? [tableOf(shortTable(short))] : []),
    ...parts,
  ].join('\n');
}

const SHORT_TITLE = 'In short: answers a second, and their part of the pass-through';

/**
 * The short table of a report that was written before, under a sentence that says where it is from.
 * @throws Error when the report has none.
 */
export function readmeTable(report: string, where: string): string {
  const begin = report.indexOf(`### ${SHORT_TITLE}\n`);
  if (begin === -1) throw new Error(`${where} has no table of answers a second`);
  const rows = report
    .slice(begin)
    .split('\n')
    .filter((line, at, all) => isRow(line) && isBegun(all, at));
  const [, cores = 'one machine'] = /^- (\d+ cores)/m.exec(report) ?? [];
  const about = `Answers a second on ${cores}, and in brackets their part of a bare pass-through that looks at no token and no credit`;
  return `${about} (\`pnpm bench\`, [all figures](${where})):\n\n${rows.join('\n')}\n`;
}

const isRow = (line: string): boolean => line.startsWith('|');
/** Whether a row belongs to the first table: nothing but rows lies between it and the title's empty line. */
const isBegun = (lines: readonly string[], at: number): boolean => lines.slice(2, at).every(isRow);

/** What fits into a README: one line for each kind of request, one column for each who answers. */
export function shortTable(lines: readonly Short[]): Table {
  const columns = [...new Set(lines.flatMap(({ perSecond }) => perSecond.map(({ who }) => who)))];
  return {
    title: SHORT_TITLE,
    head: ['request', ...columns],
    rows: lines.map(({ what, perSecond }) => [
      what,
      ...columns.map((column) => {
        const found = perSecond.find(({ who }) => who === column);
        return found ? `${whole(found.rate)} (${fixed(found.ofFloor)})` : '-';
      }),
    ]),
  };
}

/** With a heading above, and an empty line below. */
export function tableOf({ title, head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [`### ${title}\n`, line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''].join('\n');
}
