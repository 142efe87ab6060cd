import { describe, expect, it } from '@jest/globals';
import { isStale } from '../../src/domain/payments/signatures.ts';

const NOW = 1_800_000_000;

describe('a signed event', () => {
  it.each([
    ['just signed', 0, false],
    ['300 s old', -300, false],
    ['301 s old', -301, true],
    ['300 s ahead of our clock', 300, false],
    ['301 s ahead of our clock', 301, true],
  ])('that is %s is taken or refused by the second', (_age, offset, stale) => {
    expect(isStale(NOW + offset, NOW)).toBe(stale);
  });
});
