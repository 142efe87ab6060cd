/** Of all answers together, in one turn of the event loop. */
const MOST_READ_BYTES = 65_536;

/** Who may read on, of the answers that have something to read. */
export interface Turns {
  /** Waits, when the turn is used up; undefined: need not. First come, first served. */
  take(bytes: number): Promise<void> | undefined;
}

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

/**
 * Many answers that come in at once would keep the event loop from everybody else until all of them are read, and be in memory
 * in pieces, all at once. `nextTurn` runs the work once the event loop has been around.
 */
export function createTurns(nextTurn: (work: () => void) => void = setImmediate): Turns {
  const queue: Waiting[] = [];
  let left = MOST_READ_BYTES;

  function turn(): void {
    left = MOST_READ_BYTES;
    while (left > 0) {
      const next = queue.shift();
      if (!next) return;
      left -= next.bytes;
      next.go();
    }
    nextTurn(turn);
  }

  return {
    take(bytes) {
      if (left > 0) {
        left -= bytes;
        if (left <= 0) nextTurn(turn);
        return undefined;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      queue.push({ bytes, go: resolve });
      return promise;
    },
  };
}
