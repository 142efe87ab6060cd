import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AnswerEvent } from '../../src/domain/answer.ts';
import { CompletionChunks } from '../../src/domain/openai/completion-chunks.ts';
import { openAiFraming } from '../../src/routes/openai-framing.ts';

const opening: AnswerEvent = {
  event: 'session_id',
  data: 's',
  request_id: '3f2b8c1e-5a6d-4f7b-9c8d-1e2f3a4b5c6d',
  timestamp: '2026-01-01T00:00:00.000Z',
};
const counts = { credits: 3, remaining_credits: 7, input_tokens: 12, output_tokens: 20, estimated: false };
const choice = fc.record({
  index: fc.nat({ max: 3 }),
  delta: fc.record({ content: fc.string(), refusal: fc.string() }, { requiredKeys: [] }),
  finish_reason: fc.constantFrom(null, 'stop', 'length'),
});
const chunk = fc.record(
  { choices: fc.array(choice, { minLength: 1, maxLength: 3 }), service_tier: fc.string() },
  { requiredKeys: ['choices'] },
);
const event: fc.Arbitrary<AnswerEvent> = fc.oneof(
  chunk.map((data) => ({ event: 'chunk', data })),
  fc.string().map((data) => ({ event: 'token', data })),
  fc.constant({ event: 'usage', data: counts }),
);

describe('A stream of chat completions', () => {
  it('holds each chunk whole, in the fields and the order of its JSON', () => {
    const answers = fc.record({
      events: fc.array(event, { maxLength: 8 }),
      tellsUsage: fc.boolean(),
      model: fc.string(),
    });
    fc.assert(
      fc.property(answers, ({ events, ...options }) => {
        const framing = openAiFraming(options);
        const chunks = new CompletionChunks(options);
        const wanted = (told: AnswerEvent): string =>
          chunks
            .of(told)
            .map((one) => `data: ${JSON.stringify(one)}\n\n`)
            .join('');
        // Also before it is known what the answer is called.
        for (const told of [...events, opening, ...events]) expect(framing.frame(told, 1)).toBe(wanted(told));
      }),
    );
  });
});
