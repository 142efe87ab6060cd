import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { FlowiseReader, partsOfJson } from '../src/clients/flowise/flowise-events.ts';
import { OpenAiReader } from '../src/clients/openai/openai-events.ts';
import { partsOfRead } from '../src/clients/upstream/parts-of-read.ts';
import { SseDecoder } from '../src/clients/upstream/sse-decoder.ts';
import type { UpstreamPart } from '../src/domain/answer.ts';
import { CHAIN_BODY, OPENAI_BODY, TOOL_BODY } from './fixtures/frames.ts';

type Reader = { read(data: string): UpstreamPart[] };

/** The parts of a body whose bytes arrive in these pieces. */
function partsOf(pieces: readonly Uint8Array[], reader: Reader): UpstreamPart[] {
  const decoder = new SseDecoder();
  return pieces.flatMap((piece) => decoder.feed(piece)).flatMap((data) => reader.read(data));
}

const whole = (body: string, reader: Reader) => partsOf([Buffer.from(body)], reader);
const textOf = (parts: readonly UpstreamPart[]) =>
  parts.map((part) => (part.kind === 'text' ? part.text : '')).join('');
const usageOf = (parts: readonly UpstreamPart[]) => parts.findLast((part) => part.kind === 'usage');
const codeOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error instanceof AppError ? error.code : error;
  }
};
const flowiseFrame = (event: string, data: unknown) => JSON.stringify({ event, data });

it('of one read with a fault in the midst of it what stood before the fault is an answer still', () => {
  const reader = new OpenAiReader();
  const chunk = (content: string) => JSON.stringify({ choices: [{ index: 0, delta: { content } }] });
  const parts = partsOfRead([chunk('one'), chunk('two'), '{"error":{}}', chunk('three')], (data) => reader.read(data));
  expect(parts.next().value).toEqual([
    { kind: 'text', text: 'one' },
    { kind: 'text', text: 'two' },
  ]);
  expect(codeOf(() => parts.next())).toBe('UPSTREAM_FAILED');
});

describe('the bytes of a stream', () => {
  it.each([
    ['a chain', CHAIN_BODY, () => new FlowiseReader()],
    ['an agent flow with a tool', TOOL_BODY, () => new FlowiseReader()],
    ['a completion', OPENAI_BODY, () => new OpenAiReader()],
  ])('of %s mean the same wherever they are cut', (_, body, newReader) => {
    for (const text of [body, body.replaceAll('\n', '\r\n'), body.replaceAll('\n', '\r')]) {
      const bytes = Buffer.from(text);
      const expected = JSON.stringify(whole(text, newReader()));
      for (let at = 1; at < bytes.length; at += 1) {
        const parts = partsOf([bytes.subarray(0, at), bytes.subarray(at)], newReader());
        expect(JSON.stringify(parts)).toBe(expected);
      }
      const single = [...bytes].map((byte) => Uint8Array.of(byte));
      expect(JSON.stringify(partsOf(single, newReader()))).toBe(expected);
    }
  });

  it('may carry `message` without its colon, and a byte order mark', () => {
    const parts = whole(`\uFEFF${CHAIN_BODY.replaceAll('message:', 'message')}`, new FlowiseReader());
    expect(textOf(parts)).toBe('You said: naïve 日本語 😀 "quote" \\ back');
  });

  it('are given up when one event is longer than 1 MiB, after everything before it', () => {
    const decoder = new SseDecoder();
    const huge = Buffer.from(`data:first\n\ndata:${'x'.repeat(1024 * 1024 + 1)}`);
    expect(decoder.feed(huge)).toEqual(['first']);
    expect(codeOf(() => decoder.feed(Buffer.from('x')))).toBe('UPSTREAM_PROTOCOL_ERROR');
  });

  it('that are no event stream are noticed', () => {
    const decoder = new SseDecoder();
    expect(decoder.feed(Buffer.from('<html><body>hello: world</body>\nhello: world\n\n'))).toEqual([]);
    expect(decoder.hasGarbage).toBe(true);
  });
});

describe('a chain of Flowise', () => {
  it('gives its text, no usage, and is complete with its metadata', () => {
    const reader = new FlowiseReader();
    const parts = whole(CHAIN_BODY, reader);
    expect(textOf(parts)).toBe('You said: naïve 日本語 😀 "quote" \\ back');
    expect(usageOf(parts)).toBeUndefined();
    expect([reader.isComplete, reader.isOver, reader.messageId]).toEqual([true, true, 'upstream-message-1']);
  });

  it('shows neither ids nor variables of the upstream', () => {
    // The upstream's name of the message is kept beside the event, for ratings.
    const parts = whole(CHAIN_BODY, new FlowiseReader());
    const shown = JSON.stringify(parts.map((part) => (part.kind === 'event' ? part.event : part)));
    expect(shown).not.toMatch(/upstream-|zanzibar/);
    expect(shown).toContain('And then?');
  });

  it('shows of its sources what they say of themselves, and not in which conversation Flowise was given them', () => {
    const metadata = { source: 'manual.pdf', page: 3, flowise_chatId: 'upstream-chat-1', loc: { lines: 'zanzibar' } };
    const [part] = new FlowiseReader().read(flowiseFrame('sourceDocuments', [{ pageContent: 'Toll', metadata }]));
    const shown = [{ pageContent: 'Toll', metadata: { source: 'manual.pdf', page: 3 } }];
    expect(part).toMatchObject({ kind: 'event', event: { event: 'sourceDocuments', data: shown } });
    expect(JSON.stringify(part)).not.toContain('upstream-chat-1');
  });

  it('is not complete by its end alone', () => {
    const reader = new FlowiseReader();
    reader.read(flowiseFrame('token', 'x'));
    reader.read(flowiseFrame('end', '[DONE]'));
    expect([reader.isComplete, reader.isOver]).toEqual([false, true]);
  });

  it('has failed with an error event, although its status was 200', () => {
    const reader = new FlowiseReader();
    expect(reader.read(flowiseFrame('start', ''))).toEqual([]);
    expect(codeOf(() => reader.read(flowiseFrame('error', 'predictionsServices - Unauthorized')))).toBe(
      'UPSTREAM_FAILED',
    );
    expect(codeOf(() => reader.read(flowiseFrame('abort', '[DONE]')))).toBe('UPSTREAM_INTERRUPTED');
    expect(codeOf(() => reader.read('{"event":"token","data":"never'))).toBe('UPSTREAM_PROTOCOL_ERROR');
  });

  it('passes over events it does not know', () => {
    const reader = new FlowiseReader();
    const odd = [flowiseFrame('mystery', { a: 1 }), flowiseFrame('constructor', {}), '[]', '"x"', 'null', '[DONE]'];
    expect(odd.flatMap((data) => reader.read(data))).toEqual([]);
  });
});

describe('an agent flow', () => {
  it('begins with its first part of the answer; what only says that it goes on waits for that', () => {
    const reader = new FlowiseReader();
    expect(reader.read(flowiseFrame('agentFlowEvent', 'INPROGRESS'))).toEqual([]);
    expect(reader.read(flowiseFrame('token', ''))).toEqual([]);
    expect(reader.hasBegun).toBe(false);
    const parts = reader.read(flowiseFrame('token', 'Hi'));
    expect(parts.map((part) => (part.kind === 'event' ? part.event.event : part.kind))).toEqual([
      'agentFlowEvent',
      'text',
    ]);
  });

  it('reports the true sum of its model calls when it has used a tool', () => {
    expect(usageOf(whole(TOOL_BODY, new FlowiseReader()))).toMatchObject({
      usage: { input: 49, output: 3, cacheRead: 0 },
    });
  });

  it('shows no prompt, no credential and no node of the flow', () => {
    const shown = JSON.stringify(whole(TOOL_BODY, new FlowiseReader()).filter(({ kind }) => kind !== 'usage'));
    expect(shown).not.toMatch(/zanzibar|CREDENTIAL|agentFlowExecutedData|usageMetadata|upstream-/);
    expect(shown).toContain('"toolInput":{"input":"2+2*10"}');
  });

  it('takes the executed nodes instead of the events, and the events when there are no nodes', () => {
    const reader = new FlowiseReader();
    reader.read(flowiseFrame('token', 'x'));
    const usage = { input_tokens: 10, output_tokens: 2 };
    expect(reader.read(flowiseFrame('usageMetadata', usage))).toMatchObject([{ usage: { input: 10, output: 2 } }]);
    expect(reader.read(flowiseFrame('usageMetadata', usage))).toMatchObject([{ usage: { input: 20, output: 4 } }]);
    const node = { data: { output: { usageMetadata: { ...usage, input_token_details: { cache_read: 4 } } } } };
    expect(reader.read(flowiseFrame('agentFlowExecutedData', [node]))).toMatchObject([
      { usage: { input: 6, cacheRead: 4, output: 2 } },
    ]);
  });

  it.each([
    ['negative', { input_tokens: -1, output_tokens: 2 }],
    ['text', { input_tokens: '10', output_tokens: 2 }],
    ['fractions', { input_tokens: 1.5, output_tokens: 2 }],
    ['more than any model makes', { input_tokens: 1, output_tokens: 1e12 }],
    ['not there', {}],
    ['a false tool count', { input_tokens: 1, output_tokens: 1, tool_call_tokens: 'many' }],
  ])('is not believed when its usage is %s', (_, usage) => {
    const reader = new FlowiseReader();
    reader.read(flowiseFrame('token', 'x'));
    expect(reader.read(flowiseFrame('usageMetadata', usage))).toEqual([{ kind: 'bad-usage' }]);
  });

  it('gives the text of its last node when no token came', () => {
    const reader = new FlowiseReader();
    const nodes = [{ data: { output: { content: 'first' } } }, { data: { output: { content: 'Forty-two' } } }];
    reader.read(flowiseFrame('agentFlowExecutedData', nodes));
    expect(reader.read(flowiseFrame('metadata', { chatId: 'x' }))).toEqual([]);
    const parts = [...reader.text(reader.lastNodeText()), ...reader.rest()];
    expect(parts.map((part) => (part.kind === 'event' ? part.event.event : part.kind))).toEqual(['text', 'metadata']);
    expect(textOf(parts)).toBe('Forty-two');
  });
});

describe('an answer of Flowise in one piece', () => {
  it('has the parts a stream would have had', () => {
    const parts = partsOfJson({
      text: 'Forty-two',
      chatId: 'upstream-1',
      usedTools: [{ tool: 'calculator', secret: 1 }],
    });
    expect(textOf(parts)).toBe('Forty-two');
    expect(JSON.stringify(parts)).not.toMatch(/upstream-1|secret/);
    expect(parts.at(-1)).toMatchObject({ event: { event: 'metadata' } });
  });

  it('may be JSON itself', () => {
    expect(textOf(partsOfJson({ json: { a: 1 } }))).toBe('{"a":1}');
  });

  it('may be an error with status 200', () => {
    expect(codeOf(() => partsOfJson({ success: false, message: 'no' }))).toBe('UPSTREAM_FAILED');
  });
});

describe('a completion', () => {
  it('gives text, the last usage in disjoint classes, and its end', () => {
    const reader = new OpenAiReader();
    const parts = whole(OPENAI_BODY, reader);
    expect(textOf(parts)).toBe('Grüße 😀');
    expect(usageOf(parts)).toMatchObject({ usage: { input: 7, cacheRead: 5, output: 4 } });
    expect([reader.isComplete, reader.isOver]).toEqual([true, true]);
  });

  it('may report usage in a chunk that still has choices', () => {
    const chunk = {
      choices: [{ delta: { content: 'x' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    };
    expect(new OpenAiReader().read(JSON.stringify(chunk)).map(({ kind }) => kind)).toEqual(['text', 'usage']);
  });

  it('counts thoughts and refusals as output', () => {
    const chunk = { choices: [{ delta: { reasoning_content: 'hm', refusal: 'no' } }] };
    expect(new OpenAiReader().read(JSON.stringify(chunk))).toEqual([
      { kind: 'thinking', text: 'hm' },
      { kind: 'text', text: 'no' },
    ]);
  });

  it('is not complete before it says so', () => {
    const reader = new OpenAiReader();
    reader.read(JSON.stringify({ choices: [{ delta: { content: 'x' }, finish_reason: '' }] }));
    expect(reader.isComplete).toBe(false);
    reader.read(JSON.stringify({ choices: [{ delta: {}, finish_reason: 'length' }] }));
    expect(reader.isComplete).toBe(true);
  });

  it.each([
    ['an error in place of a chunk', '{"error":{"message":"overloaded"}}', 'UPSTREAM_FAILED'],
    ['no JSON', '{"choices":[', 'UPSTREAM_PROTOCOL_ERROR'],
  ])('has failed with %s', (_, data, code) => {
    expect(codeOf(() => new OpenAiReader().read(data))).toBe(code);
  });

  it.each(['{"completion_tokens":1e309,"prompt_tokens":1}', '{"completion_tokens":"3","prompt_tokens":1}', '{}', '7'])(
    'is not believed when its usage is %s',
    (usage) => {
      expect(new OpenAiReader().read(`{"choices":[],"usage":${usage}}`)).toEqual([{ kind: 'bad-usage' }]);
    },
  );
});
