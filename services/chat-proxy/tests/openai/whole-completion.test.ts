import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OpenAiReader } from '../../src/clients/openai/openai-events.ts';
import type { AnswerEvent } from '../../src/domain/answer.ts';
import { CompletionChunks } from '../../src/domain/openai/completion-chunks.ts';
import { WholeCompletion } from '../../src/domain/openai/whole-completion.ts';

const OPENING: AnswerEvent = { event: 'session_id', data: 's', request_id: 'r', timestamp: '2030-01-01T00:00:00.000Z' };
const USAGE: AnswerEvent = {
  event: 'usage',
  data: { credits: 1, remaining_credits: 2, input_tokens: 3, output_tokens: 4, estimated: false },
};

/** What a client that wants one piece gets of these chunks of a model. */
function assembled(chunks: readonly object[], choices = 1) {
  const reader = new OpenAiReader({ choices, passesOn: true });
  return wholeOf(chunks.flatMap((chunk) => reader.read(JSON.stringify(chunk))));
}

function wholeOf(parts: ReturnType<OpenAiReader['read']>) {
  const writer = new CompletionChunks({ model: 'm', tellsUsage: true });
  const whole = new WholeCompletion();
  const events = parts.flatMap((part) => (part.kind === 'chunk' ? [{ event: 'chunk', data: part.chunk }] : []));
  for (const event of [OPENING, ...events, USAGE]) for (const chunk of writer.of(event)) whole.add(chunk);
  return whole.toJSON();
}

const chunk = (delta: object, more: object = {}) => ({ choices: [{ index: 0, delta, finish_reason: null, ...more }] });

const call = fc.record({ id: fc.uuid(), name: fc.stringMatching(/^[a-z]{1,12}$/), args: fc.string({ maxLength: 60 }) });
const message = fc.record({
  content: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }),
  reasoning: fc.string({ maxLength: 40 }),
  refusal: fc.string({ maxLength: 20 }),
  calls: fc.array(call, { maxLength: 3 }),
  finish: fc.constantFrom('stop', 'length', 'tool_calls'),
});
type Message = typeof message extends fc.Arbitrary<infer Value> ? Value : never;

/** A text in pieces, cut where the numbers say. */
function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set([0, ...places.map((place) => place % (text.length + 1)), text.length])].sort((a, b) => a - b);
  return at.slice(1).map((end, n) => text.slice(at[n], end));
}

/** The chunks of one choice, in an order a model may have. */
function chunksOf(index: number, said: Message, places: readonly number[]): object[] {
  const at = (delta: object, finish: string | null = null) => ({ choices: [{ index, delta, finish_reason: finish }] });
  return [
    at({ role: 'assistant', content: '' }),
    ...cut(said.reasoning, places).map((text) => at({ reasoning_content: text })),
    ...cut(said.content, places).map((text) => at({ content: text })),
    ...cut(said.refusal, places).map((text) => at({ refusal: text })),
    ...said.calls.flatMap(({ id, name, args }, n) => [
      at({ tool_calls: [{ index: n, id, type: 'function', function: { name, arguments: '' } }] }),
      ...cut(args, places).map((text) => at({ tool_calls: [{ index: n, function: { arguments: text } }] })),
    ]),
    at({}, said.finish),
  ];
}

const messageOf = (said: Message) => ({
  role: 'assistant',
  content: said.content,
  refusal: said.refusal === '' ? null : said.refusal,
  ...(said.reasoning !== '' && { reasoning_content: said.reasoning }),
  ...(said.calls.length > 0 && {
    tool_calls: said.calls.map(({ id, name, args }) => ({
      id,
      type: 'function',
      function: { name, arguments: args },
    })),
  }),
});

/** Takes from both in the order the numbers give. */
function interleaved(one: object[], other: object[], turns: readonly boolean[]): object[] {
  const [left, right, mixed] = [[...one], [...other], [] as object[]];
  for (const turn of turns) mixed.push(...(turn ? left : right).splice(0, 1));
  return [...mixed, ...left, ...right];
}

describe('an answer in one piece', () => {
  it('is the same however a model cuts it and mixes its choices, and the same as from a model that does not stream', () => {
    const cuts = fc.array(fc.nat(200), { maxLength: 6 });
    const slicing = fc.record({ first: cuts, second: cuts, order: fc.array(fc.boolean(), { maxLength: 40 }) });
    fc.assert(
      fc.property(message, message, slicing, (first, second, slices) => {
        const chunks = interleaved(chunksOf(0, first, slices.first), chunksOf(1, second, slices.second), slices.order);
        const expected = [first, second].map((said, index) => ({
          index,
          message: messageOf(said),
          logprobs: null,
          finish_reason: said.finish,
        }));
        const streamed = assembled(chunks, 2);
        expect(streamed.choices).toEqual(expected);
        const inOne = new OpenAiReader({ choices: 2, passesOn: true });
        expect(wholeOf(inOne.readWhole({ choices: expected }))).toEqual(streamed);
      }),
      { numRuns: 200 },
    );
  });

  it('has its own head, and its own usage in place of what a model adds', () => {
    const upstream = {
      id: 'chatcmpl-upstream',
      model: 'secret-v2',
      system_fingerprint: 'fp',
      created: 5,
      provider: 'x',
    };
    const whole = assembled([{ ...upstream, ...chunk({ content: 'x', foreign: 1 }, { foreign: 2 }) }]);
    expect(whole).toEqual({
      id: 'chatcmpl-r',
      object: 'chat.completion',
      created: 1_893_456_000,
      model: 'm',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'x', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 4,
        total_tokens: 7,
        prompt_tokens_details: { cached_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0 },
        credits: 1,
        remaining_credits: 2,
        estimated: false,
      },
    });
  });

  it('tells calls apart by their ids when a server leaves out the index', () => {
    const calls = (...tool_calls: object[]) => chunk({ tool_calls });
    const { choices } = assembled([
      calls({ id: 'a', function: { name: 'f', arguments: '{' } }),
      calls({ function: { arguments: '}' } }),
      calls({ id: 'b', function: { name: 'g', arguments: '1' } }, { id: 'c', function: { name: 'h', arguments: '2' } }),
    ]);
    expect(choices[0]?.message.tool_calls).toMatchObject([
      { id: 'a', function: { name: 'f', arguments: '{}' } },
      { id: 'b', function: { name: 'g', arguments: '1' } },
      { id: 'c', function: { name: 'h', arguments: '2' } },
    ]);
  });

  it('counts thoughts once that a server writes down twice', () => {
    const both = chunk({ reasoning: 'hm', reasoning_content: 'hm' });
    const [part] = new OpenAiReader({ choices: 1, passesOn: true }).read(JSON.stringify(both));
    expect(part).toMatchObject({ kind: 'chunk', generated: 'hm', text: '' });
  });

  it('joins log probabilities, and shows nothing else that stands among them', () => {
    const logprobs = (token: string) => ({ logprobs: { content: [{ token, logprob: -1 }], secret: 1 } });
    const { choices } = assembled([chunk({ content: 'a' }, logprobs('a')), chunk({ content: 'b' }, logprobs('b'))]);
    expect(choices[0]?.logprobs).toEqual({
      content: [
        { token: 'a', logprob: -1 },
        { token: 'b', logprob: -1 },
      ],
      refusal: null,
    });
  });

  it.each([
    ['places that no request can ask for', { choices: [{ index: 999_999, delta: { content: 'x' } }] }],
    ['no places', { choices: [{ delta: { content: 'x' } }] }],
    ['places that are none', { choices: [{ index: -1.5, delta: { content: 'x' } }] }],
  ])('takes %s for the first', (_, odd) => {
    expect(assembled([odd]).choices.map(({ index }) => index)).toEqual([0]);
  });

  it('is complete only when every choice is', () => {
    const reader = new OpenAiReader({ choices: 2, passesOn: true });
    reader.read(JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }));
    expect(reader.isComplete).toBe(false);
    reader.read(JSON.stringify({ choices: [{ index: 1, delta: {}, finish_reason: 'stop' }] }));
    expect(reader.isComplete).toBe(true);
  });

  it('is refused when it is too long for one piece', () => {
    const whole = new WholeCompletion();
    const writer = new CompletionChunks({ model: 'm', tellsUsage: true });
    const [piece] = writer.of({ event: 'token', data: 'x'.repeat(2_000_001) });
    expect(piece && [whole.add(piece), whole.add(piece)]).toEqual([true, false]);
  });
});
