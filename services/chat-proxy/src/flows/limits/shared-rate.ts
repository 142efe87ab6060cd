import type { Clock, RateCounts } from '../../ports.ts';

/** What is left in the present window, as far as this process knows. */
export interface RateState {
  readonly isAllowed: boolean;
  readonly remaining: number;
  readonly msLeft: number;
}

export interface SharedRate {
  /** Spends one. Asks the database only when this process has nothing left of its own. */
  take(subject: string, most: number): Promise<RateState>;
  /** Takes back one that was spent in vain. */
  giveBack(subject: string): void;
}

export interface SharedRateDeps {
  readonly counts: RateCounts;
  readonly clock: Clock;
  /** Stands before every subject in the database. */
  readonly name: string;
  readonly windowMs: number;
  /** Told when a window is counted by this process alone. */
  readonly unshared: () => void;
}

const MOST_SUBJECTS = 50_000;
/**
 * A process may admit so small a share of the limit before it is booked, and take so small a share in advance: of three
 * processes the last two can be wrong by no more than 5 % (docs/adr/0022).
 */
const UNBOOKED_SHARE = 1 / 60;
const ADVANCE_SHARE = 1 / 40;

interface Window {
  readonly number: number;
  readonly most: number;
  /** Booked for this process and not yet spent. */
  free: number;
  /** Spent and not yet booked. */
  debt: number;
  waiting: number;
  /** The last count of all processes. */
  count: number;
  booking: Promise<void> | undefined;
}

/** One limit for all processes, counted in fixed windows and handed out in slices, so that no request waits for the database. */
export function createSharedRate({ counts, clock, name, windowMs, unshared }: SharedRateDeps): SharedRate {
  const windows = new Map<string, Window>();

  function windowOf(subject: string, most: number): Window {
    const number = Math.floor(clock.now() / windowMs);
    const known = windows.get(subject);
    if (known?.number === number && known.most === most) return known;
    const fresh = { number, most, free: 0, debt: 0, waiting: 0, count: known?.number === number ? known.count : 0 };
    windows.delete(subject);
    windows.set(subject, { ...fresh, booking: undefined });
    if (windows.size > MOST_SUBJECTS) windows.delete(windows.keys().next().value ?? '');
    return windows.get(subject) as Window; // set two lines above
  }

  /** Whoever asks while a booking is on its way shares the next one. */
  function book(subject: string, window: Window): Promise<void> {
    window.booking ??= Promise.resolve()
      .then(() => bookNow(subject, window))
      .finally(() => {
        window.booking = undefined;
      });
    return window.booking;
  }

  async function bookNow(subject: string, window: Window): Promise<void> {
    const { debt, waiting, most } = window;
    const wanted = debt + waiting + inAdvance(most);
    const expiresAt = new Date((window.number + 2) * windowMs);
    try {
      window.count = await counts.add(`${name}:${subject}:${window.number}`, wanted, expiresAt);
      window.free += Math.max(0, wanted - debt - Math.max(0, window.count - most));
    } catch {
      // The database is away: this process counts for itself, to the whole limit and not beyond it.
      unshared();
      window.free += Math.max(0, most - window.count - debt);
      window.count = most;
    }
    window.debt -= debt;
  }

  async function isAdmitted(subject: string, window: Window): Promise<boolean> {
    for (;;) {
      if (window.free > 0) {
        window.free -= 1;
        return true;
      }
      if (window.count >= window.most) return false;
      if (window.debt < Math.floor(window.most * UNBOOKED_SHARE)) {
        window.debt += 1;
        return true;
      }
      window.waiting += 1;
      await book(subject, window).finally(() => {
        window.waiting -= 1;
      });
    }
  }

  return {
    async take(subject, most) {
      const window = windowOf(subject, most);
      const isAllowed = await isAdmitted(subject, window);
      const isShort = window.debt > 0 || (window.free === 0 && inAdvance(most) > 0);
      if (isAllowed && isShort && window.count < most) void book(subject, window);
      return {
        isAllowed,
        remaining: Math.max(0, most - window.count - window.debt + window.free),
        msLeft: (window.number + 1) * windowMs - clock.now(),
      };
    },
    giveBack(subject) {
      const window = windows.get(subject);
      if (window?.number === Math.floor(clock.now() / windowMs)) window.free += 1;
    },
  };
}

const inAdvance = (most: number): number => Math.floor(most * ADVANCE_SHARE);
