import type { Store } from './store.ts';

/** MongoDB's ttlMonitorSleepSecs. */
const SECONDS_BETWEEN_PASSES = 60;

const DELETE_EXPIRED = { name: 'delete-expired', text: 'CALL documentdb_api_internal.delete_expired_rows()' };
const DELETE_OLD_CURSORS = {
  name: 'delete-old-cursors',
  text: 'SELECT documentdb_api_internal.cursor_directory_cleanup()',
};

export type Expiry = {
  /** Finished passes over all TTL indexes, as serverStatus counts them. */
  readonly passes: number;
  /** Takes effect at once: the next pass starts `sleepSeconds` from now. */
  set(parameters: { enabled?: boolean; sleepSeconds?: number }): void;
  close(): void;
};

/** Deletes expired documents in rounds, like MongoDB's TTL monitor, and leftovers of cursors nobody came back for. */
export function startExpiry(store: Store, isEnabled: boolean): Expiry {
  let passes = 0;
  let enabled = isEnabled;
  let sleepSeconds = SECONDS_BETWEEN_PASSES;
  let isClosed = false;
  let timer: NodeJS.Timeout;

  const pass = async (): Promise<void> => {
    try {
      if (enabled) {
        await store.query(DELETE_EXPIRED, []);
        passes += 1;
      }
      await store.query(DELETE_OLD_CURSORS, []);
    } catch {
      // The next round tries again; a database that is gone shows in every other command.
    }
    schedule();
  };
  const schedule = (): void => {
    clearTimeout(timer);
    if (!isClosed) timer = setTimeout(() => void pass(), sleepSeconds * 1000);
  };
  schedule();

  return {
    get passes() {
      return passes;
    },
    set: (parameters) => {
      enabled = parameters.enabled ?? enabled;
      sleepSeconds = parameters.sleepSeconds ?? sleepSeconds;
      schedule();
    },
    close: () => {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
