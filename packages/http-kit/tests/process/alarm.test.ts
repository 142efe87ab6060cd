import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Alarm } from '../../src/process/alarm.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe('an alarm', () => {
  const rung: number[] = [];
  const alarm = new Alarm((ms) => rung.push(ms));
  beforeEach(() => void rung.splice(0));
  const after = (ms: number): number[] => {
    jest.advanceTimersByTime(ms);
    return rung.splice(0);
  };

  it('rings once, so long after it was set last', () => {
    alarm.set(100);
    expect(after(99)).toEqual([]);
    alarm.set(100);
    expect([after(99), after(1), after(500)]).toEqual([[], [100], []]);
  });

  it('rings earlier when it is set to less', () => {
    alarm.set(1000);
    alarm.set(10);
    expect([after(10), after(2000)]).toEqual([[10], []]);
  });

  it('does not ring while it is put off, and again once it is set again, even after its time', () => {
    alarm.set(100);
    alarm.putOff();
    expect([after(1000), alarm.isSet]).toEqual([[], false]);
    alarm.set(100);
    expect([after(99), after(1)]).toEqual([[], [100]]);
  });

  it('that was stopped leaves no timer', () => {
    alarm.set(100);
    alarm.stop();
    expect(jest.getTimerCount()).toBe(0);
    expect(after(1000)).toEqual([]);
  });
});
