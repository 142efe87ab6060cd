import { randomInt } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { drawKey, drawKeyId, idOfKey, keyPrefix } from '../../src/index.ts';

const draw = (below: number) => randomInt(below);

describe('the text of an API key', () => {
  it('is tg_, a public id, and a secret of at least 256 bits with a checksum', () => {
    const id = drawKeyId(draw);
    const key = drawKey(id, draw);
    expect(key).toMatch(new RegExp(`^${keyPrefix(id)}_[0-9A-Za-z]{49}$`));
    expect(43 * Math.log2(62)).toBeGreaterThan(256);
    expect(idOfKey(key)).toBe(id);
    expect(drawKey(id, draw)).not.toBe(key);
  });

  it('stays the same format for ever', () => {
    const first = drawKey('0'.repeat(16), () => 0);
    expect(first).toBe(`tg_${'0'.repeat(16)}_${'0'.repeat(43)}${first.slice(-6)}`);
    expect(idOfKey(first)).toBe('0'.repeat(16));
  });

  it('tells every mistyped character, every swap of neighbours and every cut without asking anybody', () => {
    const key = drawKey(drawKeyId(draw), draw);
    for (let place = 0; place < key.length; place += 1) {
      const typed = key[place] === 'x' ? 'y' : 'x';
      expect(idOfKey(key.slice(0, place) + typed + key.slice(place + 1))).toBeUndefined();
      expect(idOfKey(key.slice(0, place))).toBeUndefined();
      const swapped = key.slice(0, place) + (key[place + 1] ?? '') + (key[place] ?? '') + key.slice(place + 2);
      expect(swapped === key || idOfKey(swapped) === undefined).toBe(true);
    }
  });

  it.each([
    ['empty', ''],
    ['a token', 'a.b.c'],
    ['only a prefix', 'tg_'],
    ['long', `tg_${'a'.repeat(100_000)}`],
  ])('is not what is %s', (_what, text) => expect(idOfKey(text)).toBeUndefined());
});
