/** One line of the table against the targets. */
export interface Finding {
  readonly figure: string;
  readonly target: string;
  readonly measured: string;
  readonly ratio: string;
  readonly verdict: Verdict;
}

/** `told`: there is no target for it. */
export type Verdict = 'met' | 'missed' | 'told' | `not measured: ${string}`;

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What one bench has to say. */
export interface Section {
  readonly findings: readonly Finding[];
  readonly tables: readonly Table[];
  readonly notes?: readonly string[];
  /** For the table of the README: see shortTable. */
  readonly short?: readonly Short[];
}

/** Answers a second of one kind of request, by who gives them. */
export interface Short {
  readonly what: string;
  readonly perSecond: readonly { readonly who: string; readonly rate: number; readonly ofFloor: number }[];
}

/** A verdict over a number that must be at least, or at most, so much. */
export function judged(value: number, bound: { readonly least: number } | { readonly most: number }): Verdict {
  if (Number.isNaN(value)) return 'not measured: no figure';
  const isMet = 'least' in bound ? value >= bound.least : value <= bound.most;
  return isMet ? 'met' : 'missed';
}

export const fixed = (value: number, digits = 2): string => (Number.isNaN(value) ? '-' : value.toFixed(digits));
export const whole = (value: number): string => (Number.isNaN(value) ? '-' : Math.round(value).toLocaleString('en-US'));
