import { createPipe } from './winston-pipe.ts';

/** Gathers the lines of one turn of the event loop and hands them on as one text. */
export interface LineBuffer {
  /** `isUrgent`: at once, with all that were gathered before. */
  add(line: string, isUrgent: boolean): void;
  /** Resolves once all lines are handed to the destination. */
  close(): Promise<void>;
}

export interface LineBufferOptions {
  readonly destination: NodeJS.WritableStream;
  /** The line that says how many were lost before it. */
  readonly lost: (count: number) => string;
  /** Characters that wait for a destination that takes nothing; what comes then is lost, and counted. */
  readonly mostWaiting?: number;
}

const MOST_WAITING = 8_388_608;

export function createLineBuffer({ destination, lost, mostWaiting = MOST_WAITING }: LineBufferOptions): LineBuffer {
  let waiting: string[] = [];
  let characters = 0;
  let lostLines = 0;
  let isTaken = true;
  let isScheduled = false;
  let idle: (() => void) | undefined;
  const pipe = createPipe(destination, () => {
    isTaken = true;
    if (waiting.length > 0) schedule();
    else idle?.();
  });

  function take(): string {
    const lines = lostLines > 0 ? [...waiting, lost(lostLines)] : waiting;
    [waiting, characters, lostLines] = [[], 0, 0];
    return lines.join('\n');
  }

  function handOn(): void {
    isScheduled = false;
    if (!isTaken || waiting.length === 0) return;
    isTaken = false;
    pipe.write(take());
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(handOn);
  }

  // Nothing that waits runs any more when a process ends: the destination is given everything now.
  const forget = atExit(() => {
    const texts = [pipe.takeBack(), take()].filter((text) => text !== '');
    if (texts.length > 0) destination.write(`${texts.join('\n')}\n`);
  });

  return {
    add(line, isUrgent) {
      if (characters > mostWaiting) {
        lostLines += 1;
        return;
      }
      waiting.push(line);
      characters += line.length;
      if (isUrgent) handOn();
      else schedule();
    },
    async close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      idle = resolve;
      handOn();
      if (!isTaken) await promise;
      await pipe.close();
      forget();
    },
  };
}

const ending = new Set<() => void>();
const runAll = (): void => {
  for (const work of ending) work();
};

/** One listener for all logs of a process. Gives a function that forgets the work. */
function atExit(work: () => void): () => void {
  if (ending.size === 0) process.on('exit', runAll);
  ending.add(work);
  return () => {
    ending.delete(work);
    if (ending.size === 0) process.off('exit', runAll);
  };
}
