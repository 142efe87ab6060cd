import { setMaxListeners } from 'node:events';
import { setTimeout as timer } from 'node:timers/promises';

/** Resolves after `ms` milliseconds; rejects with the signal's reason as soon as it is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (ms > 0) await timer(ms, undefined, { signal });
}

/** Never resolves; rejects when the signal is aborted. This is how a fake hangs without holding a timer. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** A signal that many exchanges listen to at once without Node suspecting a leak. */
export function createStopSignal(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

type Waiter = { isSettled: () => boolean; refuse: () => void };

export type WaitingRoom = {
  /** Resolves with the first defined value of `look`, now or after a later `changed()`. */
  until<T>(what: string, look: () => T | undefined): Promise<T>;
  /** Tells everybody who waits to look again. */
  changed(): void;
  /** Rejects everybody who still waits, so that a test fails by name and not by its time limit. */
  close(): void;
};

/** Lets tests await a state instead of polling for it. */
export function createWaitingRoom(owner: string): WaitingRoom {
  const waiters = new Set<Waiter>();
  let isClosed = false;

  function until<T>(what: string, look: () => T | undefined): Promise<T> {
    const found = look();
    if (found !== undefined) return Promise.resolve(found);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // A test may drop the promise and stop the fake: that must not become an unhandled rejection.
    promise.catch(() => undefined);
    const closed = new Error(`${owner} was stopped while a test waited for ${what}`);
    if (isClosed) {
      reject(closed);
      return promise;
    }
    waiters.add({
      isSettled: () => {
        const value = look();
        if (value !== undefined) resolve(value);
        return value !== undefined;
      },
      refuse: () => reject(closed),
    });
    return promise;
  }

  return {
    until,
    changed() {
      for (const waiter of waiters) {
        if (waiter.isSettled()) waiters.delete(waiter);
      }
    },
    close() {
      isClosed = true;
      for (const waiter of waiters) waiter.refuse();
      waiters.clear();
    },
  };
}
