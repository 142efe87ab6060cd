import { heal, type LineName, type Stage } from './stage.ts';

/** A row of the catalogue (acceptance.md, C.1 and C.3), as one service meets it. */
export interface Row {
  readonly row: string;
  readonly service: 'auth' | 'chat-proxy' | 'accounting';
  readonly what: string;
  /** Played by `pnpm prove dependencies` alone, because of the time it takes. */
  readonly isLong?: boolean;
  /** Throws when it is not as the catalogue says; else tells what was seen. */
  readonly play: (stage: Stage) => Promise<string>;
}

export interface Played extends Pick<Row, 'row' | 'service' | 'what'> {
  readonly seen: string;
  /** What differs from the catalogue; empty: nothing. */
  readonly wrong: string;
}

/** One after the other, because each begins with everything in order. */
export async function play(stage: Stage, rows: readonly Row[], lines: readonly LineName[]): Promise<Played[]> {
  const played: Played[] = [];
  for (const { play: go, isLong: _, ...row } of rows) {
    const { seen, wrong } = await go(stage).then(
      (text) => ({ seen: text, wrong: '' }),
      (error: unknown) => ({
        seen: '',
        wrong: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
    );
    await heal(stage, lines);
    played.push({ ...row, seen, wrong });
  }
  return played;
}
