import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { recentTurns, sessionIdFrom, topicOf } from '../src/domain/conversation.ts';
import { prepare } from '../src/flows/answers/prepare-ask.ts';
import { chatflowOf } from './fixtures/doubles.ts';

const ask = (changes: object) => ({
  question: 'q',
  chatflowId: chatflowOf().id,
  history: [],
  uploads: [],
  overrides: {},
  stores: false,
  ...changes,
});
const refusalOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error instanceof AppError ? error.code : error;
  }
};

describe('overrideConfig', () => {
  it.each([
    ['a base URL', { openAIBasePath: 'https://example.test' }],
    ['a session of its own', { sessionId: 'x' }],
    ['variables', { vars: { tenant: 'other' } }],
    ['variables in disguise', { vars: 'x' }],
    ['a name every object has', { constructor: {} }],
  ])('is refused with %s unless the chatflow allows it', (_, overrides) => {
    expect(refusalOf(() => prepare(chatflowOf(), ask({ overrides })))).toBe('VALIDATION_FAILED');
  });

  it('passes names and single variables that are allowed', () => {
    const chatflow = chatflowOf({ allowedOverrides: ['temperature', 'vars.topic'] });
    const overrides = { temperature: 0.2, vars: { topic: 'tolls' } };
    expect(prepare(chatflow, ask({ overrides })).overrides).toEqual(overrides);
    expect(refusalOf(() => prepare(chatflow, ask({ overrides: { vars: { topic: 1, key: 2 } } })))).toBe(
      'VALIDATION_FAILED',
    );
  });
});

describe('a conversation', () => {
  it('is named by a UUID, or is new', () => {
    expect([sessionIdFrom(undefined), sessionIdFrom(null), sessionIdFrom('')]).toEqual(['new', 'new', 'new']);
    expect(sessionIdFrom('1')).toBe('invalid');
    expect(sessionIdFrom('0B6140D3-20B1-4578-8B91-800B0ACD686E')).toBe('0b6140d3-20b1-4578-8b91-800b0acd686e');
  });

  it('takes its topic from the first line of the first question', () => {
    expect(topicOf('  What is a hold?\nTell me.')).toBe('What is a hold?');
    const long = topicOf(`${'word '.repeat(30)}`);
    expect([...long].length).toBeLessThanOrEqual(81);
    expect(long.endsWith('word…')).toBe(true);
  });

  it('forgets the oldest turns first when the history is too long', () => {
    const turn = (content: string) => ({ role: 'user', content }) as const;
    expect(recentTurns([turn('x'.repeat(150_000)), turn('y'.repeat(100_000)), turn('z')])).toEqual([
      turn('y'.repeat(100_000)),
      turn('z'),
    ]);
  });
});
