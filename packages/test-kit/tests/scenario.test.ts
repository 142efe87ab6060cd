import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { directive, readDirectives, Scenario, ScenarioError } from '../src/fakes/scenario.ts';
import { createScenarioQueue } from '../src/fakes/scenario-queue.ts';

describe('scenario directives', () => {
  it('are taken out of the message together with the space around them', () => {
    const { text, scenario } = readDirectives('tell me {{scenario:{"tokens":5,"hangAfter":3}}} a story');
    expect(text).toBe('tell me a story');
    expect(scenario).toEqual({ tokens: 5, hangAfter: 3 });
  });

  it('may hold braces, quotes and further directives inside their strings', () => {
    const inside = 'a } "quoted" \\ }} {{scenario:{"tokens":9}}} end';
    const { text, scenario } = readDirectives(`before ${directive({ text: inside })} after`);
    expect({ text, scenario }).toEqual({ text: 'before after', scenario: { text: inside } });
  });

  it('survive any text around them and any text inside them', () => {
    const plain = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('{{scenario:'));
    fc.assert(
      fc.property(plain, plain, fc.string({ unit: 'binary' }), (before, after, inside) => {
        const found = readDirectives(`${before} ${directive({ text: inside, sliceBytes: 1 })} ${after}`);
        expect(found.scenario).toEqual({ text: inside, sliceBytes: 1 });
        expect(found.text).toBe(`${before.trimEnd()} ${after.trimStart()}`.trim());
      }),
      { seed: 20_300_101 },
    );
  });

  it('are merged when a message holds several', () => {
    const { scenario } = readDirectives('{{scenario:{"tokens":1,"hang":true}}} x {{scenario:{"tokens":2}}}');
    expect(scenario).toEqual({ tokens: 2, hang: true });
  });

  it.each([
    ['is cut off', '{{scenario:{"tokens":5}'],
    ['never closes its object', '{{scenario:{"tokens":"}}}'],
    ['holds no object', '{{scenario:5}}'],
    ['holds no JSON', '{{scenario:{tokens:5}}}'],
    ['names an unknown field', '{{scenario:{"token":5}}}'],
    ['breaks a bound', '{{scenario:{"firstByteDelayMs":900000000}}}'],
  ])('are refused by name when one %s', (_, message) => {
    expect(() => readDirectives(message)).toThrow(ScenarioError);
  });

  it('leave a message without one as it is', () => {
    expect(readDirectives(' {{name}} {"a":1} ')).toEqual({ text: ' {{name}} {"a":1} ', scenario: undefined });
  });
});

describe('the choice of a scenario', () => {
  it('prefers the directive, then the queue, then the default, each as a whole', () => {
    const queue = createScenarioQueue({ tokens: 1, tokenDelayMs: 5 });
    queue.control.next({ tokens: 2 }, { tokens: 3 });
    const chosen = ['a', 'b {{scenario:{"hang":true}}}', 'c', 'd'].map((message) => queue.choose(message));
    expect(chosen).toEqual([{ tokens: 2 }, { hang: true }, { tokens: 3 }, { tokens: 1, tokenDelayMs: 5 }]);
  });

  it('returns to the first default after a reset', () => {
    const queue = createScenarioQueue({ tokens: 1 });
    queue.control.setScenario({ tokens: 2 });
    queue.control.next({ tokens: 3 });
    queue.reset();
    expect(queue.choose('x')).toEqual({ tokens: 1 });
  });
});

describe('the scenario schema', () => {
  it('fills in the inner defaults', () => {
    expect(Scenario.parse({ toolCall: { name: 'calc' }, errorEvent: {} })).toEqual({
      toolCall: { name: 'calc', arguments: {}, result: 'done' },
      errorEvent: { after: 0 },
    });
  });
});
