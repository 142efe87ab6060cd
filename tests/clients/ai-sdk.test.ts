import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import {
  APICallError,
  embed,
  embedMany,
  generateText,
  isStepCount,
  jsonSchema,
  Output,
  RetryError,
  streamText,
  tool,
} from 'ai';
import { resetFakes } from '../../services/chat-proxy/tests/fixtures/asking.ts';
import { makeKey } from '../../services/chat-proxy/tests/fixtures/key-book.ts';
import { type Person, type Proxy, startProxy, until } from '../../services/chat-proxy/tests/fixtures/proxy.ts';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

let proxy: Proxy;
let alice: Person;
beforeAll(async () => {
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
  proxy = await startProxy();
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  resetFakes(proxy);
  alice = await proxy.person({ balance: 100_000 });
});

/** The package as it is: nothing but its key and its base URL. */
const tollgate = (apiKey = alice.token) =>
  createOpenAICompatible({ name: 'tollgate', baseURL: `${proxy.url}/v1`, apiKey, includeUsage: true });
const spent = async () => {
  await until(() => proxy.accounting.openHolds() === 0);
  return 100_000 - proxy.accounting.balanceOf(alice.userId);
};
const once = { maxRetries: 0 };
const quiet = { onError: () => undefined };

describe('the AI SDK', () => {
  it('generates a text with usage, by access token and by API key', async () => {
    const prompt = directive({ tokens: 5, reasoning: 2 });
    const { text, usage, reasoningText, finishReason } = await generateText({ model: tollgate()('priced'), prompt });
    expect([text, reasoningText, finishReason]).toEqual(['t1 t2 t3 t4 t5', 'r1 r2', 'stop']);
    expect(usage).toMatchObject({ outputTokens: 7, outputTokenDetails: { reasoningTokens: 2 } });
    const { text: keyed } = makeKey(alice.userId, ['chat:use']);
    expect((await generateText({ model: tollgate(keyed)('priced'), prompt })).text).toBe(text);
    expect(await spent()).toBe(14);
  });

  it('streams a text with thoughts and usage', async () => {
    const result = streamText({ model: tollgate()('priced'), prompt: directive({ tokens: 4, reasoning: 1 }) });
    const texts: string[] = [];
    for await (const text of result.textStream) texts.push(text);
    expect(texts).toEqual(['t1', ' t2', ' t3', ' t4']);
    expect(await result.reasoningText).toBe('r1');
    expect(await result.usage).toMatchObject({ outputTokens: 5 });
    expect(await spent()).toBe(5);
  });

  it('runs a tool between two steps of a stream', async () => {
    const asked: unknown[] = [];
    const weather = tool({
      inputSchema: jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } } }),
      execute: async (input) => {
        asked.push(input);
        return 'sunny';
      },
    });
    const result = streamText({
      model: tollgate()('priced'),
      prompt: directive({ toolCall: { name: 'weather', arguments: { city: 'Bern' } } }),
      tools: { weather },
      stopWhen: isStepCount(3),
    });
    expect(await result.text).toBe('Echo: the tool answered sunny');
    expect(asked).toEqual([{ city: 'Bern' }]);
    expect(proxy.openai.calls()).toBe(2);
    const produced = proxy.openai.requests.reduce((sum, { usage }) => sum + usage.output, 0);
    expect(await spent()).toBe(produced);
  });

  it('sends images and asks for an object by its schema', async () => {
    const schema = jsonSchema<{ ok: boolean }>({ type: 'object', properties: { ok: { type: 'boolean' } } });
    const model = createOpenAICompatible({
      name: 'tollgate',
      baseURL: `${proxy.url}/v1`,
      apiKey: alice.token,
      supportsStructuredOutputs: true,
    })('priced');
    const { output } = await generateText({
      model,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: directive({ text: '{"ok":true}' }) },
            { type: 'file', mediaType: 'image/png', data: Buffer.from(PNG, 'base64') },
          ],
        },
      ],
      output: Output.object({ schema }),
    });
    expect(output).toEqual({ ok: true });
    const body = proxy.openai.requests[0]?.body;
    expect(body).toMatchObject({
      response_format: { type: 'json_schema' },
      messages: [{ content: [{ type: 'text' }, { image_url: { url: `data:image/png;base64,${PNG}` } }] }],
    });
  });

  it('talks to a chatflow', async () => {
    const { text } = await generateText({ model: tollgate()(proxy.flowise.agentflow.id), prompt: 'Good day' });
    expect(text).toContain('Good day');
  });

  it('embeds one text and many', async () => {
    const model = tollgate().embeddingModel('priced');
    const one = await embed({ model, value: 'one two' });
    expect(one.embedding).toHaveLength(8);
    const { embeddings } = await embedMany({ model, values: ['one two', 'three'] });
    expect(embeddings[0]).toEqual(one.embedding);
  });

  it.each([
    ['nobody', 'nonsense', 401, 'invalid_token'],
    ['no credits', 'poor', 402, 'insufficient_credits'],
  ])('throws the status for %s', async (_, who, status, code) => {
    const key = who === 'poor' ? (await proxy.person({ balance: 0 })).token : who;
    const error = await generateText({ model: tollgate(key)('priced'), prompt: 'Hi', ...once }).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(APICallError);
    expect(error).toMatchObject({ statusCode: status, isRetryable: false, data: { error: { code } } });
    expect(proxy.openai.calls()).toBe(0);
  });

  it.each([
    [429, { status: 429, retryAfterSeconds: 1 }, 429, true],
    [500, { status: 500 }, 502, true],
    [400, { status: 400 }, 400, false],
  ])('is told whether to try again after a %s of the model', async (_, error, statusCode, isRetryable) => {
    const prompt = directive({ error });
    const thrown = await generateText({ model: tollgate()('priced'), prompt, ...once }).catch((e: unknown) => e);
    expect(RetryError.isInstance(thrown) ? thrown.lastError : thrown).toMatchObject({ statusCode, isRetryable });
    expect(await spent()).toBe(0);
  });

  it.each([
    ['an error event', { tokens: 9, errorEvent: { after: 3 } }],
    ['a broken connection', { tokens: 9, resetAfter: 3 }],
  ])('sees %s in the middle of a stream as an error, and no end', async (_, scenario) => {
    const result = streamText({ model: tollgate()('priced'), prompt: directive(scenario), ...once, ...quiet });
    const parts: { type: string }[] = [];
    for await (const part of result.fullStream) parts.push(part);
    expect(parts.filter(({ type }) => type === 'error')).toHaveLength(1);
    expect(parts.filter(({ type }) => type === 'text-delta')).toHaveLength(3);
    expect(parts.find(({ type }) => type === 'finish')).toMatchObject({ finishReason: 'error' });
    expect(await spent()).toBe(3);
  });

  it('stops the model when it is aborted, at the price of what was produced', async () => {
    const leaving = new AbortController();
    const result = streamText({
      model: tollgate()('priced'),
      prompt: directive({ tokens: 50, hangAfter: 4 }),
      abortSignal: leaving.signal,
      ...quiet,
    });
    let seen = 0;
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') seen += 1;
      if (seen === 4) leaving.abort();
    }
    expect(await proxy.openai.untilClosed(0)).toMatchObject({ by: 'client' });
    expect(await spent()).toBe(4);
  });
});
