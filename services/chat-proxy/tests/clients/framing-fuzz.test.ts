import { expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { NAUGHTY_STRINGS } from '@tollgate/test-kit';
import { SseDecoder } from '../../src/clients/upstream/sse-decoder.ts';
import { flowiseFraming } from '../../src/routes/flowise/framing.ts';
import { type Framing, framingFor } from '../../src/routes/framing.ts';
import { openAiFraming } from '../../src/routes/openai-framing.ts';
import { referenceData } from './reference-events.ts';

const chat = { chatId: 'c', sessionId: 's', question: 'q', isWindow: true };
const completion = { model: 'm', tellsUsage: true };

/** What a door of ours writes for an answer of these tokens, with a heartbeat between any two, and a failure at its end. */
const written = (framing: Framing): Buffer =>
  Buffer.from(
    [
      framing.frame({ event: 'start', data: '' }, 1),
      ...NAUGHTY_STRINGS.map((data, at) => framing.frame({ event: 'token', data }, at + 2) + (framing.heartbeat ?? '')),
      framing.failure(new AppError('UPSTREAM_INTERRUPTED'), NAUGHTY_STRINGS.length + 2),
    ].join(''),
  );

/** The text of a token, wherever the door puts it. */
const textIn = (data: string): string | undefined => {
  const { event, data: token, choices } = JSON.parse(data) as Record<string, unknown>;
  const delta: unknown = Object(Object(Array.isArray(choices) ? choices[0] : undefined).delta).content;
  return event === 'token' ? String(token) : typeof delta === 'string' ? delta : undefined;
};

it.each([
  ['native', () => framingFor('text/event-stream')],
  ["OpenAI's", () => openAiFraming(completion)],
  ["Flowise's", () => flowiseFraming(chat)],
])(
  'what the %s door writes is read by any parser, wherever it is cut: every text comes as it was',
  (_door, framing) => {
    const bytes = written(framing());
    const whole = referenceData(bytes);
    const decoder = new SseDecoder();
    const bytewise = Array.from(bytes, (byte) => decoder.feed(Uint8Array.of(byte))).flat();
    expect(bytewise).toEqual(whole);
    expect(decoder.hasGarbage).toBe(false);
    const texts = whole.map(textIn).filter((text) => text !== undefined && text !== '');
    expect(texts).toEqual(NAUGHTY_STRINGS.filter((text) => text !== ''));
  },
);
