import type { Section, Table } from './section.ts';

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
    ...parts,
  ].join('\n');
}

/** With a heading above, and an empty line below. */
export function tableOf({ title, head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [`### ${title}\n`, line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''].join('\n');
}
