/** What is killed: chat-proxy, accounting, PostgreSQL, or the Mongo server. */
export const VICTIMS = ['P', 'A', 'D', 'M'] as const;
export type Victim = (typeof VICTIMS)[number];

/** Where an answer stands when that happens: a failpoint, and the process it is in. */
export interface Place {
  readonly name: string;
  readonly step: string;
  readonly of: 'P' | 'A';
  /** Passed only by answers that are stored in the history. */
  readonly isStored?: boolean;
}

const at = (step: string, name = step, more: Partial<Place> = {}): Place => ({ name, step, of: 'P', ...more });

/** acceptance.md, C.2. */
export const PLACES: readonly Place[] = [
  at('s0'),
  at('s0', 's0.claimed', { isStored: true }),
  at('s1'),
  at('s1', 's1.before', { of: 'A' }),
  at('s1', 's1.after', { of: 'A' }),
  at('s2'),
  at('s3'),
  at('s4'),
  at('s5'),
  at('s6'),
  at('s7', 's7.before', { of: 'A' }),
  at('s7', 's7.after', { of: 'A' }),
  at('s7'),
  at('s8', 's8', { isStored: true }),
  at('s9', 's9', { isStored: true }),
];

export const STEPS = [...new Set(PLACES.map(({ step }) => step))];
