/** Numbers that look random and are the same for the same seed (mulberry32). */
export interface Draw {
  /** From 0 up to but without `below`. */
  whole(below: number): number;
  one<T>(of: readonly T[]): T;
  /** True so often in a hundred. */
  percent(chance: number): boolean;
}

export function createDraw(seed: number): Draw {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (below: number): number => Math.floor(next() * below);
  return {
    whole,
    percent: (chance) => whole(100) < chance,
    one: <T>(of: readonly T[]): T => {
      const chosen = of[whole(of.length)];
      if (chosen === undefined) throw new RangeError('there is nothing to choose from');
      return chosen;
    },
  };
}
