import { describe, expect, it } from '@jest/globals';
import { manualClock, systemClock } from '../src/clock.ts';

describe('manualClock', () => {
  it('stands still until it is moved', () => {
    const clock = manualClock('2030-05-01T12:00:00Z');
    expect([clock.now(), clock.now()]).toEqual([Date.UTC(2030, 4, 1, 12), Date.UTC(2030, 4, 1, 12)]);
    clock.advance(90_000);
    expect(clock.now()).toBe(Date.UTC(2030, 4, 1, 12, 1, 30));
    clock.set(new Date(5));
    expect(clock.now()).toBe(5);
  });

  it('refuses to run backwards and moments that are no dates', () => {
    const clock = manualClock(10);
    expect(() => clock.advance(-1)).toThrow(RangeError);
    expect(() => clock.set('next Tuesday-ish')).toThrow(RangeError);
    expect(clock.now()).toBe(10);
  });

  it('has the shape of the system clock', () => {
    const before = Date.now();
    expect(systemClock.now()).toBeGreaterThanOrEqual(before);
  });
});
