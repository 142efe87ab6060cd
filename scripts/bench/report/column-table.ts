import { type Measured, ratio } from './measured.ts';
import { fixed, type Table, whole } from './section.ts';
import { median } from './statistics.ts';

const MEBIBYTE = 1_048_576;

/** Columns of one run, each with its ratio to the first. */
export function columnTable(title: string, columns: readonly Measured[]): Table {
  const [floor] = columns;
  return {
    title,
    head: [
      'column',
      'answers/s',
      'of the floor',
      'p50 ms',
      'p99 ms',
      'first byte p50',
      'p99',
      'pieces',
      'CPU per answer, µs',
      'memory, MiB',
      'faults',
    ],
    rows: columns.map((column) => [
      column.name,
      whole(median(column.perSecond)),
      floor ? fixed(ratio(column, floor)) : '-',
      fixed(column.p50, 1),
      fixed(column.p99, 1),
      fixed(column.firstByteP50, 1),
      fixed(column.firstByteP99, 1),
      fixed(column.pieces, 1),
      listed(column.cpuMicroseconds, whole),
      listed(column.residentBytes, (bytes) => whole(bytes / MEBIBYTE)),
      String(column.faults),
    ]),
  };
}

const listed = (values: ReadonlyMap<string, number>, told: (value: number) => string): string =>
  [...values].map(([part, value]) => `${part} ${told(value)}`).join(', ');
