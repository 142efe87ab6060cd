import { describe, expect, it } from '@jest/globals';
import { KeptOutput } from '../src/platform/kept-output.ts';

describe('the kept output of a process', () => {
  it('is everything, in order, while it is little', () => {
    const kept = new KeptOutput(100);
    for (const part of ['one ', '', 'two ', 'three']) kept.add(part);
    expect(kept.text).toBe('one two three');
    expect(kept.text).toBe('one two three');
  });

  it('is the newest of it afterwards: at least half of the most, never more than the most, and without a gap', () => {
    const kept = new KeptOutput(100);
    let all = '';
    for (let line = 0; line < 200; line += 1) {
      const part = `${line} ${'x'.repeat(line % 70)}\n`;
      all += part;
      kept.add(part);
      expect(all.endsWith(kept.text)).toBe(true);
      expect(kept.text.length).toBeLessThanOrEqual(100);
      expect(kept.text.length).toBeGreaterThanOrEqual(Math.min(all.length, 50));
    }
  });

  it('keeps the end of a part that is longer than the most', () => {
    const kept = new KeptOutput(10);
    kept.add('before');
    kept.add('0123456789abcdef');
    expect(kept.text).toBe('6789abcdef');
  });
});
