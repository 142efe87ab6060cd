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

/** What fits into a README: one line for each kind of request, one column for each who answers. */
export function shortTable(lines: readonly Short[]): Table {
  const columns = [...new Set(lines.flatMap(({ perSecond }) => perSecond.map(({ who }) => who)))];
  return {
    title: 'In short: answers a second, and their part of the pass-through',
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
