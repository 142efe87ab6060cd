import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const LOOK_EVERY_MS = 5;
/** A test that has died lets nobody wait for ever. */
const LONGEST_PAUSE_MS = 60_000;

/** Places where a test can stop or kill the process, by the names of the kill matrix. */
export interface Failpoints {
  /** Resolves at once unless the test wants something of this place, for whom it is passed. */
  reach(place: string, subject: string): Promise<void>;
}

/**
 * The file says what shall happen where, a line each: `<place> abort <subject>` kills the process as a power cut would,
 * `<place> pause <subject>` keeps whoever comes there until the line is gone. It is read anew at every place, so that a test
 * arms and releases a process that is running; the test replaces it in one step. Who has come somewhere is written into the
 * same name with `.reached`, before anything happens to the process. Configuration refuses all of it in production.
 */
export function createFailpoints(file: string): Failpoints {
  const wanted = (place: string, subject: string): string | undefined =>
    linesOf(file).find(([at, , whom]) => at === place && whom === subject)?.[1];

  return {
    async reach(place, subject) {
      const action = wanted(place, subject);
      if (action !== 'abort' && action !== 'pause') return;
      appendFileSync(`${file}.reached`, `${place} ${subject}\n`);
      if (action === 'abort') process.kill(process.pid, 'SIGKILL');
      const end = performance.now() + LONGEST_PAUSE_MS;
      while (wanted(place, subject) !== undefined && performance.now() < end) await pause(LOOK_EVERY_MS);
    },
  };
}

function linesOf(file: string): string[][] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(' '));
  } catch {
    return [];
  }
}
