import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { resetFakes } from '../../services/chat-proxy/tests/fixtures/asking.ts';
import { makeKey } from '../../services/chat-proxy/tests/fixtures/key-book.ts';
import { type Person, type Proxy, startProxy, until } from '../../services/chat-proxy/tests/fixtures/proxy.ts';

const PNG =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

let proxy: Proxy;
let alice: Person;
let client: OpenAI;
beforeAll(async () => {
  proxy = await startProxy({ env: { COMPLETION_EXTRA_PARAMETERS: 'top_k', COMPLETION_MAX_CHOICES: '3' } });
});
afterAll(() => proxy.stop());
beforeEach(async () => {
  resetFakes(proxy);
  alice = await proxy.person({ balance: 100_000 });
  client = clientOf(alice.token);
});

/** The package as it is: nothing but its key and its base URL. */
const clientOf = (apiKey: string, maxRetries = 0) => new OpenAI({ apiKey, baseURL: `${proxy.url}/v1`, maxRetries });

const user = (content: string) => ({ role: 'user' as const, content });
const settledOf = async () => {
  await until(() => proxy.accounting.openHolds() === 0);
  return proxy.accounting.settlements.at(-1);
};
const spent = async () => {
  await settledOf();
  return 100_000 - proxy.accounting.balanceOf(alice.userId);
};
const sentBody = (index = 0) => proxy.openai.requests[index]?.body as Record<string, unknown>;

async function thrownBy(work: () => Promise<unknown>): Promise<APIError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof APIError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a completion', () => {
  it('in one piece carries text, usage, cost and headers, and no id of the upstream', async () => {
    const { data, response } = await client.chat.completions
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
    const input = proxy.openai.requests[0]?.usage.input ?? 0;
    expect(data).toMatchObject({ object: 'chat.completion', model: 'priced', usage: { prompt_tokens: input } });
    expect(data.usage).toMatchObject({ completion_tokens: 3, credits: 3, remaining_credits: 99_997, estimated: false });
    expect(data.id).toMatch(/^chatcmpl-[0-9a-f-]{36}$/);
    expect(data).not.toHaveProperty('system_fingerprint');
    expect(response.headers.get('x-credits-charged')).toBe('3');
    expect(response.headers.get('x-request-id')).toBeTruthy();
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(await spent()).toBe(3);
  });

  it('in a stream says the same, and hides the usage from who did not ask for it', async () => {
    const stream = await client.chat.completions.create({
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
    expect(sentBody()).toMatchObject({ model: 'priced', stream_options: { include_usage: true }, n: 1 });
    expect(await spent()).toBe(3);
  });

  it('tells usage and cost in the last chunk when asked, and null in the others', async () => {
    const stream = await client.chat.completions.create({
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
    expect(await settledOf()).toMatchObject({
      units: { input: 15, cache_read: 5, output: 9 },
      usageSource: 'provider',
    });
  });

  it('by the helper that assembles a stream is the one in one piece', async () => {
    const messages = [user(directive({ tokens: 5, reasoning: 2 }))];
    const whole = await client.chat.completions.create({ model: 'priced', messages });
    const streamed = await client.chat.completions.stream({ model: 'priced', messages }).finalChatCompletion();
    expect(streamed.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(whole.choices[0]?.message).toMatchObject({ content: 't1 t2 t3 t4 t5', reasoning_content: 'r1 r2' });
    expect(whole.usage?.completion_tokens_details).toEqual({ reasoning_tokens: 2 });
    expect(await spent()).toBe(14);
  });

  it('calls tools with arguments piece by piece, and goes on with what they answered', async () => {
    const tools = [
      { type: 'function' as const, function: { name: 'weather', parameters: { type: 'object', properties: {} } } },
    ];
    const call = { name: 'weather', arguments: { city: 'Bern', days: [1, 2, 3] } };
    const question = user(directive({ toolCall: call }));
    const message = await client.chat.completions
      .stream({ model: 'priced', messages: [question], tools, tool_choice: 'auto', parallel_tool_calls: false })
      .finalMessage();
    const [asked] = message.tool_calls ?? [];
    if (asked?.type !== 'function') throw new Error('no function was called');
    expect(asked.function.name).toBe('weather');
    expect(JSON.parse(asked.function.arguments)).toEqual(call.arguments);
    expect(sentBody()).toMatchObject({ tools, tool_choice: 'auto', parallel_tool_calls: false });

    const second = await client.chat.completions.create({
      model: 'priced',
      messages: [question, message, { role: 'tool', tool_call_id: asked.id, content: 'sunny' }],
      tools,
    });
    expect(second.choices[0]?.message.content).toBe('Echo: the tool answered sunny');
    expect(sentBody(1)['messages']).toMatchObject([{}, { tool_calls: [{ id: asked.id }] }, { tool_call_id: asked.id }]);
  });

  it('has as many answers as were asked for and the operator allows, each of them reserved and paid', async () => {
    const messages = [user(directive({ tokens: 4 }))];
    const two = await client.chat.completions.create({ model: 'priced', messages, n: 2, max_completion_tokens: 50 });
    expect(two.choices.map(({ index, message }) => [index, message.content])).toEqual([
      [0, 't1 t2 t3 t4'],
      [1, 't1 t2 t3 t4'],
    ]);
    expect(sentBody()).toMatchObject({ n: 2, max_tokens: 50 });
    expect(proxy.accounting.holds().at(-1)?.hold.units.output).toBe(100);
    expect(await spent()).toBe(8);

    const streamed = await client.chat.completions.stream({ model: 'priced', messages, n: 9 }).finalChatCompletion();
    expect(streamed.choices).toHaveLength(3);
    expect(sentBody(1)['n']).toBe(3);
  });

  it('sees images, whose tokens are reserved by a fixed rule', async () => {
    const content = [
      { type: 'text' as const, text: directive({ tokens: 1 }) },
      { type: 'image_url' as const, image_url: { url: PNG, detail: 'low' as const } },
      { type: 'image_url' as const, image_url: { url: 'https://images.example.com/a.png' } },
    ];
    await client.chat.completions.create({ model: 'priced', messages: [{ role: 'user', content }] });
    expect(sentBody()['messages']).toEqual([{ role: 'user', content }]);
    const { units } = proxy.accounting.holds().at(-1)?.hold ?? {};
    expect(units?.input).toBeGreaterThan(2 * 2048);
    expect(units?.input).toBeLessThan(2 * 2048 + 200);
  });

  it('keeps to a schema', async () => {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] };
    const { choices } = await client.chat.completions.parse({
      model: 'priced',
      messages: [user(directive({ text: '{"ok":true}' }))],
      response_format: { type: 'json_schema', json_schema: { name: 'fine', schema, strict: true } },
    });
    expect(JSON.parse(choices[0]?.message.content ?? '')).toEqual({ ok: true });
    expect(sentBody()['response_format']).toEqual({
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
    await client.chat.completions.create(body);
    const { messages: _, ...sent } = sentBody();
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

describe('what goes wrong', () => {
  it.each([
    ['functions', { functions: [{ name: 'f' }] }],
    ['base_url', { base_url: 'http://169.254.169.254/' }],
    ['api_base', { api_base: 'http://localhost' }],
    ['api_key', { api_key: 'sk-mine' }],
    ['extra_headers', { extra_headers: { authorization: 'x' } }],
    ['host', { host: 'example.com' }],
    ['web_search_options', { web_search_options: {} }],
  ])('%s is refused by name, before anything is reserved', async (param, extra) => {
    const error = await thrownBy(() =>
      client.chat.completions.create({ model: 'priced', messages: [user('Hi')], ...extra }),
    );
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ code: 'unsupported_parameter', param, type: 'invalid_request_error' });
    expect([proxy.accounting.holdCalls, proxy.openai.calls()]).toEqual([holdCalls, 0]);
  });

  it.each([
    ['an image that is none', { type: 'image_url', image_url: { url: 'data:image/png;base64,aGVsbG8=' } }],
    ['an image inside the network', { type: 'image_url', image_url: { url: 'https://10.0.0.1/a.png' } }],
    ['an image over plain http', { type: 'image_url', image_url: { url: 'http://images.example.com/a.png' } }],
    ['a file of the account that all users share', { type: 'file', file: { file_id: 'file-abc' } }],
    ['a recording that is none', { type: 'input_audio', input_audio: { data: 'aGVsbG8=', format: 'mp3' } }],
    ['an unknown part', { type: 'video', video: 'x' }],
  ])('%s is refused where it stands', async (_, part) => {
    const messages = [{ role: 'user' as const, content: [{ type: 'text', text: 'Look' }, part] }] as never;
    const error = await thrownBy(() => client.chat.completions.create({ model: 'priced', messages }));
    expect(error).toMatchObject({ status: 400, code: 'validation_failed' });
    expect(error.param).toMatch(/^messages\.0\.content/);
    expect(proxy.accounting.holdCalls).toBe(holdCalls);
  });

  let holdCalls = 0;
  beforeEach(() => {
    holdCalls = proxy.accounting.holdCalls;
  });

  it('nobody is 401, and is told so by the exception of the package', async () => {
    const error = await thrownBy(() =>
      clientOf('nonsense').chat.completions.create({ model: 'priced', messages: [user('Hi')] }),
    );
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error.code).toBe('invalid_token');
  });

  it.each([false, true])('no credits are 402 before the model is asked (stream: %s)', async (stream) => {
    const poor = await proxy.person({ balance: 0 });
    const asking = { model: 'priced', messages: [user('Hi')], stream };
    const error = await thrownBy(() => clientOf(poor.token).chat.completions.create(asking));
    expect(error).toMatchObject({ status: 402, code: 'insufficient_credits', type: 'insufficient_quota' });
    expect(proxy.openai.calls()).toBe(0);
  });

  it('an unknown model is 404, before anything is reserved', async () => {
    const error = await thrownBy(() => client.chat.completions.create({ model: 'gpt-none', messages: [user('Hi')] }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model' });
    expect(proxy.accounting.holdCalls).toBe(holdCalls);
  });

  it('429 carries Retry-After, and the package waits and gets its answer', async () => {
    const busy = { error: { status: 429, retryAfterSeconds: 1 } };
    const once = await thrownBy(() =>
      client.chat.completions.create({ model: 'priced', messages: [user(directive(busy))] }),
    );
    expect(once).toBeInstanceOf(RateLimitError);
    expect(once.headers?.get('retry-after')).toBe('1');
    proxy.openai.next({ error: { status: 429, retryAfterSeconds: 0 } }, { text: 'At last' });
    const patient = await clientOf(alice.token, 1).chat.completions.create({ model: 'priced', messages: [user('Hi')] });
    expect(patient.choices[0]?.message.content).toBe('At last');
    expect(await spent()).toBe(2);
  });

  it.each([
    [500, 'upstream_failed', 502],
    [400, 'upstream_rejected', 400],
    [401, 'upstream_failed', 502],
  ])('%s of the upstream is %s and costs nothing', async (status, code, shown) => {
    const asking = {
      model: 'priced',
      messages: [user(directive({ error: { status, message: 'secret host 10.1.2.3' } }))],
    };
    const error = await thrownBy(() => client.chat.completions.create({ ...asking, stream: true }));
    expect(error).toMatchObject({ status: shown, code });
    expect(JSON.stringify(error.error)).not.toContain('10.1.2.3');
    expect(await spent()).toBe(0);
  });

  it('a conversation that is too long for the model is told apart', async () => {
    const error = {
      status: 400,
      body: { error: { message: 'maximum context length', code: 'context_length_exceeded' } },
    };
    const thrown = await thrownBy(() =>
      client.chat.completions.create({ model: 'priced', messages: [user(directive({ error }))] }),
    );
    expect(thrown).toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });

  it.each([
    ['an error event', { tokens: 9, errorEvent: { after: 3 } }, 'upstream_failed'],
    ['a broken connection', { tokens: 9, resetAfter: 3 }, 'upstream_interrupted'],
    ['silence', { tokens: 9, hangAfter: 3 }, 'upstream_timeout'],
    ['garbage', { tokens: 9, intrusion: { after: 3, kind: 'broken-json' as const } }, 'upstream_protocol_error'],
  ])('%s in the middle is thrown after what came, and costs what came', async (_, scenario, code) => {
    const stream = await client.chat.completions.create({
      model: 'priced',
      messages: [user(directive(scenario))],
      stream: true,
    });
    const texts: string[] = [];
    const finishes: unknown[] = [];
    const error = await thrownBy(async () => {
      for await (const { choices } of stream) {
        texts.push(choices[0]?.delta.content ?? '');
        finishes.push(choices[0]?.finish_reason);
      }
    });
    expect(error.code).toBe(code);
    expect(texts.join('')).toBe('t1 t2 t3');
    expect(finishes.filter(Boolean)).toEqual([]);
    expect(await spent()).toBe(3);
    const status = await thrownBy(() =>
      client.chat.completions.create({ model: 'priced', messages: [user(directive(scenario))] }),
    );
    expect([status.code, status.status]).toEqual([code, code === 'upstream_timeout' ? 504 : 502]);
  });

  it('a client that leaves stops the model and pays what was produced', async () => {
    const stream = await client.chat.completions.create({
      model: 'priced',
      messages: [user(directive({ tokens: 50, hangAfter: 5 }))],
      stream: true,
    });
    let seen = 0;
    for await (const _ of stream) if ((seen += 1) === 5) break;
    expect(await proxy.openai.untilClosed(0)).toMatchObject({ by: 'client' });
    expect(await spent()).toBe(proxy.openai.requests[0]?.usage.output);
    expect(await settledOf()).toMatchObject({ outcome: 'aborted', units: { output: 5 } });
  });

  it('a quiet model is bridged by comments that the package passes over', async () => {
    const text = await client.chat.completions
      .stream({ model: 'priced', messages: [user(directive({ tokens: 3, tokenDelayMs: 130 }))] })
      .finalContent();
    expect(text).toBe('t1 t2 t3');
  });
});

describe('an upstream of another kind', () => {
  it.each(['absent', 'zero', 'negative', 'string', 'overflow', 'running', 'with-choices', 'null'] as const)(
    'with usage %s is charged as it must be',
    async (usage) => {
      const { usage: told } = await client.chat.completions.create({
        model: 'priced',
        messages: [user(directive({ tokens: 6, usage }))],
      });
      const charged = usage === 'zero' ? 0 : 6;
      expect(await spent()).toBe(charged);
      const estimated = ['absent', 'negative', 'string', 'overflow', 'null'].includes(usage);
      expect(told).toMatchObject({ credits: charged, estimated });
    },
  );

  it('that answers in one piece is given out as chunks', async () => {
    const messages = [user(directive({ tokens: 4, reasoning: 1, unstreamed: true }))];
    const message = await client.chat.completions.stream({ model: 'priced', messages, n: 2 }).finalChatCompletion();
    expect(message.choices.map((choice) => [choice.message.content, choice.finish_reason])).toEqual([
      ['t1 t2 t3 t4', 'stop'],
      ['t1 t2 t3 t4', 'stop'],
    ]);
    expect(await spent()).toBe(10);
    const call = { toolCall: { name: 'f', arguments: { a: 1 } }, unstreamed: true };
    const whole = await client.chat.completions.create({ model: 'priced', messages: [user(directive(call))] });
    expect(whole.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, tool_calls: [{ type: 'function', function: { name: 'f', arguments: '{"a":1}' } }] },
    });
  });

  it('that ignores the limit is cut when the balance does not pay for more', async () => {
    const poor = await proxy.person({ balance: 10 });
    const stream = await clientOf(poor.token).chat.completions.create({
      model: 'priced',
      messages: [user(directive({ tokens: 40, ignoreMaxTokens: true }))],
      max_tokens: 8,
      stream: true,
    });
    const error = await thrownBy(async () => {
      for await (const _ of stream);
    });
    expect(error.code).toBe('insufficient_credits');
    await settledOf();
    // What was reserved is used up, and no more.
    expect(proxy.accounting.balanceOf(poor.userId)).toBe(2);
  });
});

describe('models', () => {
  it('are listed with the chatflows the caller may use, and found one by one', async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id).sort()).toEqual(
      ['priced', proxy.flowise.chain.id, proxy.flowise.agentflow.id].sort(),
    );
    expect(await client.models.retrieve('priced')).toMatchObject({ id: 'priced', object: 'model' });
    expect(await client.models.retrieve('model:priced')).toMatchObject({ id: 'priced' });
    await expect(client.models.retrieve('gpt-none')).rejects.toBeInstanceOf(NotFoundError);
  });

  it('work with an API key in place of an access token', async () => {
    const { text } = makeKey(alice.userId, ['chat:use']);
    const keyed = clientOf(text);
    expect((await keyed.models.list()).data).not.toEqual([]);
    await keyed.chat.completions.create({ model: 'priced', messages: [user(directive({ tokens: 2 }))] });
    expect(await spent()).toBe(2);
  });
});

describe('a chatflow as a model', () => {
  it.each([false, true])('answers in the same language and is forgotten afterwards (stream: %s)', async (stream) => {
    proxy.accounting.isPerToken = false;
    const model = proxy.flowise.agentflow.id;
    const messages = [
      { role: 'system' as const, content: 'Be brief.' },
      user('My name is Ada'),
      { role: 'assistant' as const, content: 'Hello Ada' },
      {
        role: 'user' as const,
        content: [
          { type: 'text' as const, text: 'Who am I?' },
          { type: 'image_url' as const, image_url: { url: PNG } },
        ],
      },
    ];
    const text = stream
      ? await client.chat.completions.stream({ model, messages }).finalContent()
      : (await client.chat.completions.create({ model, messages })).choices[0]?.message.content;
    expect(text).toContain('Who am I?');
    const sent = proxy.flowise.requests[0]?.body as Record<string, unknown>;
    expect(sent).toMatchObject({ question: 'Be brief.\n\nWho am I?', uploads: [{ data: PNG, mime: 'image/png' }] });
    expect(sent['history']).toMatchObject([{ content: 'My name is Ada' }, { content: 'Hello Ada' }]);
    await settledOf();
    expect(await proxy.db.collection('sessions').countDocuments({ user_id: alice.userId })).toBe(0);
    const left = await proxy.db.collection('upstream_forgets').findOne({ chat_id: String(sent['chatId']) });
    expect(left).toMatchObject({ chatflow_id: model });
  });

  it.each([
    ['tools', { tools: [{ type: 'function' as const, function: { name: 'f' } }] }],
    ['n', { n: 2 }],
    ['response_format', { response_format: { type: 'json_object' as const } }],
  ])('refuses %s by name', async (param, extra) => {
    const asking = { model: proxy.flowise.chain.id, messages: [user('Hi')], ...extra };
    const error = await thrownBy(() => client.chat.completions.create(asking));
    expect(error).toMatchObject({ status: 400, code: 'unsupported_parameter', param });
    expect(proxy.flowise.calls()).toBe(0);
  });

  it('that somebody else may use is no model at all', async () => {
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${proxy.flowise.chain.id}`, { is_public: false });
    const asking = { model: proxy.flowise.chain.id, messages: [user('Hi')] };
    await expect(client.chat.completions.create(asking)).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${proxy.flowise.chain.id}`, { is_public: true });
  });
});

describe('embeddings', () => {
  it('come for texts and token numbers, in the asked size, at the reported usage', async () => {
    const { data, usage } = await client.embeddings.create({
      model: 'priced',
      input: ['one two', 'three'],
      dimensions: 4,
    });
    expect(data.map(({ index, embedding }) => [index, embedding.length])).toEqual([
      [0, 4],
      [1, 4],
    ]);
    expect(usage).toMatchObject({ prompt_tokens: 3, total_tokens: 3, estimated: false });
    expect(await settledOf()).toMatchObject({
      kind: 'settle',
      units: { input: 3, output: 0 },
      usageSource: 'provider',
    });
    const tokens = await client.embeddings.create({ model: 'priced', input: [11, 12, 13], encoding_format: 'float' });
    expect([tokens.data.length, tokens.usage.prompt_tokens]).toEqual([1, 3]);
    expect(sentBody(1)).toEqual({ model: 'priced', input: [11, 12, 13], encoding_format: 'float' });
  });

  it('are reserved by the bytes of the input, charged by our own count when nobody counts, and free when they fail', async () => {
    await client.embeddings.create({ model: 'priced', input: directive({ usage: 'absent' }) });
    expect(await settledOf()).toMatchObject({ usageSource: 'estimated', units: { output: 0 } });
    const { units } = proxy.accounting.holds().at(-1)?.hold ?? {};
    expect(units).toMatchObject({ input: directive({ usage: 'absent' }).length + 8, output: 0 });
    const error = await thrownBy(() =>
      client.embeddings.create({ model: 'priced', input: directive({ error: { status: 500 } }) }),
    );
    expect(error).toMatchObject({ status: 502, code: 'upstream_failed' });
    expect(await settledOf()).toMatchObject({ kind: 'void' });
  });

  it('of a chatflow or with a foreign parameter are refused before anything is reserved', async () => {
    const before = proxy.accounting.holdCalls;
    await expect(client.embeddings.create({ model: proxy.flowise.chain.id, input: 'x' })).rejects.toBeInstanceOf(
      NotFoundError,
    );
    const error = await thrownBy(() =>
      client.embeddings.create({ model: 'priced', input: 'x', api_base: 'x' } as never),
    );
    expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'api_base' });
    expect(proxy.accounting.holdCalls).toBe(before);
  });
});
