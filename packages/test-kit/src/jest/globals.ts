import type * as Globals from '@jest/globals';

/** What tests import as `@jest/globals` (run-file.ts): each file brings its own, and an import follows what it is bound to. */
export let afterAll: typeof Globals.afterAll;
export let afterEach: typeof Globals.afterEach;
export let beforeAll: typeof Globals.beforeAll;
export let beforeEach: typeof Globals.beforeEach;
export let describe: typeof Globals.describe;
export let expect: typeof Globals.expect;
export let it: typeof Globals.it;
/** Of jest's own only what has to do with time: tests inject what they want to watch or replace. */
export let jest: Pick<
  typeof Globals.jest,
  'useFakeTimers' | 'useRealTimers' | 'advanceTimersByTimeAsync' | 'setTimeout'
>;

export function bindGlobals(globals: Omit<typeof Globals, 'jest'>, time: typeof jest): void {
  ({ afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } = globals);
  jest = time;
}
