import { describe, expect, it } from '@jest/globals';
import { Reply } from '../src/domain/reply.ts';

const reply = () => new Reply({ promptBytes: 41, keeps: true });
const usage = (input: number, output: number, cacheRead = 0) =>
  ({ kind: 'usage', usage: { input, output, cacheRead, raw: { input, output } } }) as const;
const text = (words: string) => ({ kind: 'text', text: words }) as const;

describe('the meter of an answer', () => {
  it('counts pieces of the size of a token one by one, and longer ones by their UTF-8 bytes', () => {
    const answer = reply();
    for (let piece = 0; piece < 806; piece += 1) answer.add(text('a'));
    expect(answer.meteredOutput).toBe(806);
    answer.add(text('日本語'.repeat(1000)));
    expect(answer.meteredOutput).toBe(Math.ceil((806 + 9000) / 4));
  });

  it('estimates input and output while nobody reports usage', () => {
    const answer = reply();
    answer.add(text('Hello'));
    expect(answer.tokens()).toEqual({ input: 11, cacheRead: 0, output: 1, source: 'estimated' });
  });

  it('counts 638 tokens of five bytes as 638, and one of 40 bytes as ten', () => {
    const answer = reply();
    for (let piece = 0; piece < 638; piece += 1) answer.add(text(' toll'));
    const whole = reply();
    whole.add(text('x'.repeat(40)));
    expect([answer.meteredOutput, whole.meteredOutput]).toEqual([638, 10]);
  });

  it('estimates no more than it is allowed to, but believes a report that is higher', () => {
    const answer = reply();
    for (let piece = 0; piece < 4000; piece += 1) answer.add(text('a'));
    expect(answer.tokens(1024)).toMatchObject({ output: 1024, source: 'estimated' });
    answer.add(usage(10, 1500));
    answer.add(text('a'));
    expect(answer.tokens(1024)).toMatchObject({ output: 1500, source: 'estimated' });
    answer.status = 'completed';
    expect(answer.tokens(1024)).toMatchObject({ output: 1500, source: 'provider' });
  });

  it('takes the last running total and never a sum', () => {
    const answer = reply();
    answer.add(text('Hello'));
    answer.add(usage(10, 1));
    answer.add(usage(10, 7, 3));
    answer.status = 'completed';
    expect(answer.tokens()).toEqual({ input: 10, cacheRead: 3, output: 7, source: 'provider' });
  });

  it('believes an explicit zero', () => {
    const answer = reply();
    answer.add(text('Hello'));
    answer.add(usage(0, 0));
    answer.status = 'completed';
    expect(answer.tokens()).toEqual({ input: 0, cacheRead: 0, output: 0, source: 'provider' });
  });

  it('adds what came after the last report when the answer breaks off', () => {
    const answer = reply();
    answer.add(text('a'));
    answer.add(usage(10, 5));
    answer.add(text('b'));
    answer.add(text('c'));
    answer.status = 'failed';
    expect(answer.tokens()).toEqual({ input: 10, cacheRead: 0, output: 7, source: 'estimated' });
  });

  it('tells the first part from the others, and events from output', () => {
    const answer = reply();
    expect(answer.add({ kind: 'event', event: { event: 'usedTools', data: [] } })).toBe(true);
    expect(answer.add(text('x'))).toBe(false);
    expect(answer.hasOutput).toBe(true);
    expect(answer.status).toBe('aborted');
  });

  it('joins thoughts into one event and keeps them out of the text', () => {
    const answer = reply();
    answer.add({ kind: 'thinking', text: 'hm' });
    answer.add({ kind: 'thinking', text: ' hm' });
    answer.add(text('Yes'));
    expect(answer.text).toBe('Yes');
    expect(answer.events).toEqual([{ event: 'thinking', data: 'hm hm' }]);
    expect(answer.deltas).toBe(3);
  });

  it('keeps nothing of an answer that is not stored', () => {
    const answer = new Reply({ promptBytes: 1, keeps: false });
    answer.add(text('secret'));
    answer.add({ kind: 'event', event: { event: 'usedTools', data: [] } });
    expect([answer.text, answer.events, answer.meteredOutput]).toEqual(['', [], 1]);
  });
});

describe('what is kept of an answer for the history', () => {
  it('is bounded, also when all of it comes in one piece', () => {
    const answer = reply();
    answer.add(text('x'.repeat(5_000_000)));
    answer.add(text('y'));
    expect(answer.text).toBe('x'.repeat(4_000_000));
    expect(answer.meteredOutput).toBe(1_250_001);
  });

  it('is bounded, also when it thinks between its steps', () => {
    const answer = reply();
    for (let step = 0; step < 20; step += 1) {
      for (let piece = 0; piece < 10; piece += 1) answer.add({ kind: 'thinking', text: 'x'.repeat(10_000) });
      answer.add({ kind: 'event', event: { event: 'usedTools', data: [step] } });
    }
    expect(JSON.stringify(answer.events).length).toBeLessThan(262_144 + 100);
    expect(answer.events.slice(0, 2)).toMatchObject([{ event: 'thinking', data: 'x'.repeat(100_000) }, { data: [0] }]);
  });
});
