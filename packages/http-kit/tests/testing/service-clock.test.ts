import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { createServiceClock } from '@tollgate/http-kit';

const NOON = Date.parse('2030-01-01T12:00:00Z');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollgate-clock-'));
  jest.useFakeTimers({ now: NOON });
});
afterEach(() => {
  jest.useRealTimers();
  rmSync(folder, { recursive: true });
});

/** Long enough for the clock to look into its file again; the system's time moves as well. */
const aWhile = () => jest.advanceTimersByTime(60);

it('follows the number in its file while it runs, in both directions, and is the system clock without a file', () => {
  const file = join(folder, 'offset');
  const clock = createServiceClock(file);
  expect(clock.now()).toBe(NOON);
  for (const offset of [120_000, -120_000, 0]) {
    writeFileSync(file, `${offset}\n`);
    aWhile();
    expect(clock.now() - Date.now()).toBe(offset);
  }
  expect(createServiceClock(undefined).now()).toBe(Date.now());
});

it('keeps its last step when the file is away or says no whole number within a hundred years', () => {
  const file = join(folder, 'offset');
  writeFileSync(file, '5000');
  const clock = createServiceClock(file);
  expect(clock.now()).toBe(NOON + 5000);
  for (const text of ['', '1e9', '12 s', '0x10', '9999999999999', '4.5']) {
    writeFileSync(file, text);
    aWhile();
    expect(clock.now() - Date.now()).toBe(5000);
  }
  rmSync(file);
  aWhile();
  expect(clock.now() - Date.now()).toBe(5000);
});
