import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import { PNG, SdkStage, user } from './sdk-stage.ts';

let stage: SdkStage;
beforeAll(async () => {
  stage = await SdkStage.start();
});
afterAll(() => stage.proxy.stop());
beforeEach(() => stage.reset());

describe('a completion', () => {
  it('in one piece carries text, usage, cost and headers, and no id of the upstream', async () => {
    const { data, response } = await stage.client.chat.completions
      .create({ model: 'priced', messages: [user(directive({ text: 'All is well' }))] })
      .withResponse();
    expect(data.choices).toEqual([
      {
        index: 0,
        message: { role: 'assistant', content: 'All is well', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ]);
    const input = stage.proxy.openai.requests[0]?.usage.input ?? 0;
    expect(data).toMatchObject({ object: 'chat.completion', model: 'priced', usage: { prompt_tokens: input } });
    expect(data.usage).toMatchObject({ completion_tokens: 3, credits: 3, remaining_credits: 99_997, estimated: false });
    expect(data.id).toMatch(/^chatcmpl-[0-9a-f-]{36}$/);
    expect(data).not.toHaveProperty('system_fingerprint');
    expect(response.headers.get('x-credits-charged')).toBe('3');
    expect(response.headers.get('x-request-id')).toBeTruthy();
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(await stage.spent()).toBe(3);
  });

  it('in a stream says the same, and hides the usage from who did not ask for it', async () => {
    const stream = await stage.client.chat.completions.create({
      model: 'model:priced',
      messages: [user(directive({ text: 'All is well' }))],
      stream: true,
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('All is well');
    expect(chunks.filter((chunk) => 'usage' in chunk)).toEqual([]);
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
    expect(new Set(chunks.map(({ id, model, created }) => `${id} ${model} ${created}`)).size).toBe(1);
    expect(chunks[0]?.model).toBe('model:priced');
    expect(stage.sentBody()).toMatchObject({ model: 'priced', stream_options: { include_usage: true }, n: 1 });
    expect(await stage.spent()).toBe(3);
  });

  it('tells usage and cost in the last chunk when asked, and null in the others', async () => {
    const stream = await stage.client.chat.completions.create({
      model: 'priced',
      messages: [user(directive({ tokens: 4, usage: { input: 20, output: 9, cached: 5, reasoning: 3 } }))],
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: 20,
        completion_tokens: 9,
        total_tokens: 29,
        prompt_tokens_details: { cached_tokens: 5 },
        completion_tokens_details: { reasoning_tokens: 3 },
        credits: 9,
        remaining_credits: 99_991,
      },
    });
    expect(await stage.settled()).toMatchObject({
      units: { input: 15, cache_read: 5, output: 9 },
      usageSource: 'provider',
    });
  });

  it('by the helper that assembles a stream is the one in one piece', async () => {
    const messages = [user(directive({ tokens: 5, reasoning: 2 }))];
    const whole = await stage.client.chat.completions.create({ model: 'priced', messages });
    const streamed = await stage.client.chat.completions.stream({ model: 'priced', messages }).finalChatCompletion();
    expect(streamed.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(whole.choices[0]?.message).toMatchObject({ content: 't1 t2 t3 t4 t5', reasoning_content: 'r1 r2' });
    expect(whole.usage?.completion_tokens_details).toEqual({ reasoning_tokens: 2 });
    expect(await stage.spent()).toBe(14);
  });

  it('calls tools with arguments piece by piece, and goes on with what they answered', async () => {
    const tools = [
      { type: 'function' as const, function: { name: 'weather', parameters: { type: 'object', properties: {} } } },
    ];
    const call = { name: 'weather', arguments: { city: 'Bern', days: [1, 2, 3] } };
    const question = user(directive({ toolCall: call }));
    const message = await stage.client.chat.completions
      .stream({ model: 'priced', messages: [question], tools, tool_choice: 'auto', parallel_tool_calls: false })
      .finalMessage();
    const [asked] = message.tool_calls ?? [];
    if (asked?.type !== 'function') throw new Error('no function was called');
    expect(asked.function.name).toBe('weather');
    expect(JSON.parse(asked.function.arguments)).toEqual(call.arguments);
    expect(stage.sentBody()).toMatchObject({ tools, tool_choice: 'auto', parallel_tool_calls: false });

    const second = await stage.client.chat.completions.create({
      model: 'priced',
      messages: [question, message, { role: 'tool', tool_call_id: asked.id, content: 'sunny' }],
      tools,
    });
    expect(second.choices[0]?.message.content).toBe('Echo: the tool answered sunny');
    expect(stage.sentBody(1)['messages']).toMatchObject([
      {},
      { tool_calls: [{ id: asked.id }] },
      { tool_call_id: asked.id },
    ]);
  });

  it('has as many answers as were asked for and the operator allows, each of them reserved and paid', async () => {
    const messages = [user(directive({ tokens: 4 }))];
    const two = await stage.client.chat.completions.create({
      model: 'priced',
      messages,
      n: 2,
      max_completion_tokens: 50,
    });
    expect(two.choices.map(({ index, message }) => [index, message.content])).toEqual([
      [0, 't1 t2 t3 t4'],
      [1, 't1 t2 t3 t4'],
    ]);
    expect(stage.sentBody()).toMatchObject({ n: 2, max_tokens: 50 });
    expect(stage.proxy.accounting.holds().at(-1)?.hold.units.output).toBe(100);
    expect(await stage.spent()).toBe(8);

    const streamed = await stage.client.chat.completions
      .stream({ model: 'priced', messages, n: 9 })
      .finalChatCompletion();
    expect(streamed.choices).toHaveLength(3);
    expect(stage.sentBody(1)['n']).toBe(3);
  });

  it('sees images, whose tokens are reserved by a fixed rule', async () => {
    const content = [
      { type: 'text' as const, text: directive({ tokens: 1 }) },
      { type: 'image_url' as const, image_url: { url: PNG, detail: 'low' as const } },
      { type: 'image_url' as const, image_url: { url: 'https://images.example.com/a.png' } },
    ];
    await stage.client.chat.completions.create({ model: 'priced', messages: [{ role: 'user', content }] });
    expect(stage.sentBody()['messages']).toEqual([{ role: 'user', content }]);
    const { units } = stage.proxy.accounting.holds().at(-1)?.hold ?? {};
    expect(units?.input).toBeGreaterThan(2 * 2048);
    expect(units?.input).toBeLessThan(2 * 2048 + 200);
  });

  it('keeps to a schema', async () => {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] };
    const { choices } = await stage.client.chat.completions.parse({
      model: 'priced',
      messages: [user(directive({ text: '{"ok":true}' }))],
      response_format: { type: 'json_schema', json_schema: { name: 'fine', schema, strict: true } },
    });
    expect(JSON.parse(choices[0]?.message.content ?? '')).toEqual({ ok: true });
    expect(stage.sentBody()['response_format']).toEqual({
      type: 'json_schema',
      json_schema: { name: 'fine', schema, strict: true },
    });
  });

  it('passes on what models know and what the operator has named, and drops what would label an account of all users', async () => {
    const passed = {
      temperature: 0.3,
      top_p: 0.9,
      seed: 7,
      stop: ['END'],
      logit_bias: { '50256': -100 },
      reasoning_effort: 'high' as const,
      verbosity: 'low' as const,
      logprobs: true,
      top_logprobs: 2,
    };
    const dropped = { user: 'u1', metadata: { a: 'b' }, store: false, safety_identifier: 's', presence_penalty: null };
    const body = { model: 'priced', messages: [user('Hello')], ...passed, ...dropped, top_k: 5 };
    await stage.client.chat.completions.create(body);
    const { messages: _, ...sent } = stage.sentBody();
    expect(sent).toEqual({
      ...passed,
      top_k: 5,
      model: 'priced',
      n: 1,
      max_tokens: 1024,
      stream: true,
      stream_options: { include_usage: true },
    });
  });
});
