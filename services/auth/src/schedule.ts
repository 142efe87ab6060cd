import type { Logger } from '@tollgate/telemetry';

export type Rounds = {
  start(): void;
  /** There is something to do now. */
  nudge(): void;
  /** Resolves when the task under way has ended. */
  close(): Promise<void>;
};

/** Runs a task again and again: at once while it finds work, else after `idleMs` or a nudge. */
export function createRounds(
  task: () => Promise<boolean>,
  { idleMs, logger }: { idleMs: number; logger: Logger },
): Rounds {
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isNudged = false;
  let isClosed = true;

  async function run(): Promise<void> {
    do {
      isNudged = false;
      while (!isClosed && (await foundWork())) isNudged = true;
    } while (isNudged && !isClosed);
  }

  async function foundWork(): Promise<boolean> {
    try {
      return await task();
    } catch (error) {
      logger.warn('a round failed and will be tried again', { error });
      return false;
    }
  }

  function round(): void {
    clearTimeout(timer);
    if (isClosed || running) return;
    running = run().finally(() => {
      running = undefined;
      if (isClosed) return;
      timer = setTimeout(round, idleMs);
      if (isNudged) round();
    });
  }

  return {
    start() {
      isClosed = false;
      round();
    },
    nudge() {
      isNudged = true;
      round();
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
