import { describe, expect, it } from '@jest/globals';
import { bestPrice, isGroupNamed, type PricePattern, type Resource } from '../../../src/domain/price-match.ts';

const rule = (pattern: Partial<PricePattern>): PricePattern => ({
  upstream: '*',
  model: '*',
  chatflow: '*',
  group: '*',
  ...pattern,
});
const REQUEST: Resource = { upstream: 'openai', model: 'gpt-5-mini', chatflowId: 'flow-1', group: 'gold' };

describe('a pattern', () => {
  it.each([
    ['gpt', 'gpt', true],
    ['gpt', 'gpt5', false],
    ['gpt', 'agpt', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['gpt*', 'gpt', true],
    ['gpt*', 'agpt', false],
    ['*mini', 'gpt-mini', true],
    ['*mini', 'gpt-mini-2', false],
    ['a*b', 'ab', true],
    ['a*a', 'a', false],
    ['ab*ba', 'aba', false],
    ['a*b*c', 'a1b2c', true],
    ['a*b*c', 'a1c2b', false],
    ['*b*b*', 'b', false],
    ['*b*b*', 'bb', true],
    ['*ab*ab', 'ab', false],
    ['*ab*ab', 'abab', true],
    ['*bc*c', 'abc', false],
    ['*ab*b', 'ab', false],
    ['**', 'x', true],
    ['a**b', 'ab', true],
    ['x*abc*z', 'xabcabcz', true],
    ['x*cd*d', 'xcd', false],
    ['x*cd*d', 'xcdd', true],
    ['a.c', 'abc', false],
    ['A', 'a', false],
  ])('%s for %s: %s', (model, text, isMatch) => {
    const found = bestPrice([rule({ model })], { ...REQUEST, model: text });
    expect(found !== undefined).toBe(isMatch);
  });

  it('takes time in proportion to the text, whoever wrote it', () => {
    const evil = rule({ model: `${'a*'.repeat(100)}b` });
    expect(bestPrice([evil], { ...REQUEST, model: 'a'.repeat(100_000) })).toBeUndefined();
  });
});

describe('the best price', () => {
  it.each<[string, Partial<PricePattern>, Partial<PricePattern>]>([
    ['a name before a pattern', { model: 'gpt-5-mini' }, { model: 'gpt-5-min*' }],
    ['a short name before a long pattern', { upstream: 'openai' }, { upstream: 'openai*' }],
    ['the longer of two patterns', { model: 'gpt-5-*' }, { model: 'gpt-*' }],
    ['the pattern with more letters, not with more stars', { model: '*mini' }, { model: '*i*n*' }],
    ['a chatflow before a model', { chatflow: 'flow-1' }, { model: 'gpt-5-mini' }],
    ['a chatflow pattern before a model', { chatflow: 'f*' }, { model: 'gpt-5-mini' }],
    ['a model before an upstream', { model: 'g*' }, { upstream: 'openai' }],
    ['an upstream before a group', { upstream: 'o*' }, { group: 'gold' }],
    ['a group before nothing', { group: 'g*' }, {}],
    ['what decides later when the first parts are equal', { model: 'gpt-*', group: 'gold' }, { model: 'gpt-*' }],
  ])('is that of the most specific rule: %s', (_what, better, worse) => {
    for (const rules of [
      [rule(better), rule(worse)],
      [rule(worse), rule(better)],
    ])
      expect(bestPrice(rules, REQUEST)).toEqual(rule(better));
  });

  it('is nobody’s when a single part does not match, and nothing is not a name', () => {
    for (const part of ['upstream', 'model', 'chatflow', 'group'] as const)
      expect(bestPrice([rule({ [part]: 'other' })], REQUEST)).toBeUndefined();
    const { upstream, model } = REQUEST;
    for (const part of ['chatflow', 'group'] as const)
      for (const pattern of ['g*', 'a', '*a*', '*e*', '*i*', '*o*'])
        expect(bestPrice([rule({ [part]: pattern })], { upstream, model })).toBeUndefined();
    expect(bestPrice([rule({})], { upstream, model })).toEqual(rule({}));
    expect(bestPrice([], REQUEST)).toBeUndefined();
  });

  it('is the first of equals', () => {
    const rules = [rule({ model: 'gpt-*' }), rule({ model: 'gpt-*' })];
    expect(bestPrice(rules, REQUEST)).toBe(rules[0]);
    // Of two exact names each is as good as the other, however long: both cannot match.
    expect(bestPrice([rule({ model: 'other' }), rule({ model: 'gpt-5-mini' })], REQUEST)).toEqual(
      rule({ model: 'gpt-5-mini' }),
    );
  });
});

describe('the group of an account', () => {
  it.each<[string, Partial<PricePattern>[], boolean]>([
    ['no rule names one', [{}, { model: 'gpt-*' }], false],
    ['a rule for the request names one', [{}, { group: 'gold' }], true],
    ['only the rule of another model names one', [{}, { model: 'other', group: 'gold' }], false],
    ['only the rule of another upstream names one', [{ upstream: 'x', group: 'gold' }], false],
    ['only the rule of another chatflow names one', [{ chatflow: 'x', group: 'gold' }], false],
    ['there are no rules', [], false],
  ])('matters or not when %s', (_what, patterns, isNamed) => {
    const { group: _group, ...request } = REQUEST;
    // Whether the group itself matches is another question.
    for (const asked of [request, REQUEST, { ...REQUEST, group: 'silver' }])
      expect(isGroupNamed(patterns.map(rule), asked)).toBe(isNamed);
  });
});
