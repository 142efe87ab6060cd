import type { Logger } from '@tollgate/telemetry';

export type Rounds = {
  start(): void;
  /** Resolves when the task under way has ended. */
  close(): Promise<void>;
};

export type RoundOptions = Readonly<{
  /** Wait before the first round. */
  delayMs: number;
  intervalMs: number;
  logger: Logger;
}>;

/** Runs a task on a schedule, never twice at once; again without a pause while it says that there is more. */
export function createRounds(task: () => Promise<boolean>, { delayMs, intervalMs, logger }: RoundOptions): Rounds {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let isClosed = false;

  async function round(): Promise<void> {
    try {
      while (!isClosed && (await task()));
    } catch (error) {
      // A round that fails is tried again at its next time: nothing that it books is needed for a right answer.
      logger.warn('a scheduled round failed and will be tried again', { error });
    }
    running = undefined;
    schedule(intervalMs);
  }

  function schedule(ms: number): void {
    if (isClosed) return;
    timer = setTimeout(() => {
      running = round();
    }, ms);
  }

  return {
    start: () => schedule(delayMs),
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
