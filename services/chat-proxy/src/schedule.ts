/** One thing that is done again and again, whatever became of the time before. */
export interface Task {
  readonly everyMs: number;
  readonly work: () => Promise<unknown>;
  readonly failed: (error: unknown) => void;
}

export interface Schedule {
  /** Begins; with `now` the first turn does not wait. */
  start(task: Task & { readonly now?: boolean }): void;
  /** Resolves when no turn is under way any more. */
  close(): Promise<void>;
}

/** Runs tasks at their intervals; a turn that is still under way is not overtaken by the next. */
export function createSchedule(): Schedule {
  const timers: NodeJS.Timeout[] = [];
  const underWay = new Set<Promise<void>>();
  let isClosed = false;

  return {
    start({ everyMs, work, failed, now = false }) {
      let isBusy = false;
      const turn = async () => {
        if (isBusy || isClosed) return;
        isBusy = true;
        try {
          await work();
        } catch (error) {
          failed(error);
        } finally {
          isBusy = false;
        }
      };
      const run = () => {
        const running = turn();
        underWay.add(running);
        void running.finally(() => underWay.delete(running));
      };
      timers.push(setInterval(run, everyMs));
      if (now) run();
    },
    async close() {
      isClosed = true;
      timers.forEach(clearInterval);
      await Promise.all(underWay);
    },
  };
}
