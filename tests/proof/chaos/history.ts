import type { WriteStream } from 'node:fs';

/** One line of what happened, as Jepsen keeps it: an invocation, or what its caller learned. */
export interface Line {
  /** Milliseconds from the beginning. */
  readonly t: number;
  readonly what: 'invoke' | 'ok' | 'fail' | 'unknown' | 'hung' | 'fault' | 'healed' | 'note';
  readonly operation?: number;
  readonly fault?: number;
  readonly [detail: string]: unknown;
}

export interface History {
  readonly lines: readonly Line[];
  write(line: Omit<Line, 't'>): void;
  now(): number;
}

const KEPT_LINES = 400_000;

/** Keeps what happened in memory, and in a file as lines of JSON. */
export function createHistory(file?: WriteStream): History {
  const began = performance.now();
  const lines: Line[] = [];
  const now = (): number => Math.round(performance.now() - began);
  return {
    lines,
    now,
    write(said) {
      const line = { t: now(), ...said } as Line;
      if (lines.length < KEPT_LINES) lines.push(line);
      file?.write(`${JSON.stringify(line)}\n`);
    },
  };
}
