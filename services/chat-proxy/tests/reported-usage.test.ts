import { describe, expect, it } from '@jest/globals';
import { usagePart } from '../src/clients/upstream/reported-usage.ts';

const rawOf = (raw: unknown): unknown => {
  const part = usagePart(5, 7, 0, raw);
  return part.kind === 'usage' ? part.usage.raw : part.kind;
};
const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });

describe('the upstream’s own usage object', () => {
  it('is kept when it is small and plain', () => {
    const raw = { prompt_tokens: 5, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 0 } };
    expect(rawOf(raw)).toEqual(raw);
    expect(rawOf(nested(8))).toEqual(nested(8));
  });

  it.each([
    ['larger than 8 KiB', { note: 'x'.repeat(8192) }],
    ['deeper than eight levels', nested(9)],
    ['very deep', nested(5000)],
    ['with a key that changes prototypes', JSON.parse('{"a":{"__proto__":{"x":1}}}')],
    ['with a constructor', { constructor: 1 }],
    ['with a prototype in a list', [{ prototype: 1 }]],
    ['with a NUL', { note: 'a\0b' }],
    ['with half a surrogate pair', { note: '\ud800' }],
  ])('is dropped when it is %s, and the counts still stand', (_, raw) => {
    expect(rawOf(raw)).toBeUndefined();
    expect(usagePart(5, 7, 0, raw)).toMatchObject({ kind: 'usage', usage: { input: 5, output: 7 } });
  });
});
