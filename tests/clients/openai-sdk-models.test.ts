import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import { NotFoundError } from 'openai';
import { makeKey } from '../../services/chat-proxy/tests/fixtures/key-book.ts';
import { PNG, SdkStage, thrownBy, user } from './sdk-stage.ts';

let stage: SdkStage;
beforeAll(async () => {
  stage = await SdkStage.start();
});
afterAll(() => stage.proxy.stop());
beforeEach(() => stage.reset());

describe('an upstream of another kind', () => {
  it.each(['absent', 'zero', 'negative', 'string', 'overflow', 'running', 'with-choices', 'null'] as const)(
    'with usage %s is charged as it must be',
    async (usage) => {
      const { usage: told } = await stage.client.chat.completions.create({
        model: 'priced',
        messages: [user(directive({ tokens: 6, usage }))],
      });
      const charged = usage === 'zero' ? 0 : 6;
      expect(await stage.spent()).toBe(charged);
      const estimated = ['absent', 'negative', 'string', 'overflow', 'null'].includes(usage);
      expect(told).toMatchObject({ credits: charged, estimated });
    },
  );

  it('that answers in one piece is given out as chunks', async () => {
    const messages = [user(directive({ tokens: 4, reasoning: 1, unstreamed: true }))];
    const message = await stage.client.chat.completions
      .stream({ model: 'priced', messages, n: 2 })
      .finalChatCompletion();
    expect(message.choices.map((choice) => [choice.message.content, choice.finish_reason])).toEqual([
      ['t1 t2 t3 t4', 'stop'],
      ['t1 t2 t3 t4', 'stop'],
    ]);
    expect(await stage.spent()).toBe(10);
    const call = { toolCall: { name: 'f', arguments: { a: 1 } }, unstreamed: true };
    const whole = await stage.client.chat.completions.create({ model: 'priced', messages: [user(directive(call))] });
    expect(whole.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, tool_calls: [{ type: 'function', function: { name: 'f', arguments: '{"a":1}' } }] },
    });
  });

  it('that ignores the limit is cut when the balance does not pay for more', async () => {
    const poor = await stage.proxy.person({ balance: 10 });
    const stream = await stage.clientOf(poor.token).chat.completions.create({
      model: 'priced',
      messages: [user(directive({ tokens: 40, ignoreMaxTokens: true }))],
      max_tokens: 8,
      stream: true,
    });
    const error = await thrownBy(async () => {
      for await (const _ of stream);
    });
    expect(error.code).toBe('insufficient_credits');
    await stage.settled();
    // What was reserved is used up, and no more.
    expect(stage.proxy.accounting.balanceOf(poor.userId)).toBe(2);
  });
});

describe('models', () => {
  it('are listed with the chatflows the caller may use, and found one by one', async () => {
    const { data } = await stage.client.models.list();
    expect(data.map(({ id }) => id).sort()).toEqual(
      ['priced', stage.proxy.flowise.chain.id, stage.proxy.flowise.agentflow.id].sort(),
    );
    expect(await stage.client.models.retrieve('priced')).toMatchObject({ id: 'priced', object: 'model' });
    expect(await stage.client.models.retrieve('model:priced')).toMatchObject({ id: 'priced' });
    await expect(stage.client.models.retrieve('gpt-none')).rejects.toBeInstanceOf(NotFoundError);
  });

  it('work with an API key in place of an access token', async () => {
    const { text } = makeKey(stage.alice.userId, ['chat:use']);
    const keyed = stage.clientOf(text);
    expect((await keyed.models.list()).data).not.toEqual([]);
    await keyed.chat.completions.create({ model: 'priced', messages: [user(directive({ tokens: 2 }))] });
    expect(await stage.spent()).toBe(2);
  });
});

describe('a chatflow as a model', () => {
  const setUploads = (images: boolean) =>
    stage.proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${stage.proxy.flowise.agentflow.id}`, {
      uploads: { images, files: false, audio: false },
    });
  beforeAll(() => setUploads(true));

  it('that takes no images says so in the words of the client', async () => {
    await setUploads(false);
    const content = [
      { type: 'text' as const, text: 'Look' },
      { type: 'image_url' as const, image_url: { url: PNG } },
    ];
    const asking = { model: stage.proxy.flowise.agentflow.id, messages: [{ role: 'user' as const, content }] };
    const error = await thrownBy(() => stage.client.chat.completions.create(asking));
    expect(error).toMatchObject({ status: 400, param: 'messages' });
    expect(stage.done).toBe(0);
    await setUploads(true);
  });

  it.each([false, true])('answers in the same language and is forgotten afterwards (stream: %s)', async (stream) => {
    stage.proxy.accounting.isPerToken = false;
    const model = stage.proxy.flowise.agentflow.id;
    await stage.proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${model}`, { uploads: { images: true } });
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
      ? await stage.client.chat.completions.stream({ model, messages }).finalContent()
      : (await stage.client.chat.completions.create({ model, messages })).choices[0]?.message.content;
    expect(text).toContain('Who am I?');
    const sent = stage.proxy.flowise.requests[0]?.body as Record<string, unknown>;
    expect(sent).toMatchObject({ question: 'Be brief.\n\nWho am I?', uploads: [{ data: PNG, mime: 'image/png' }] });
    expect(sent['history']).toMatchObject([{ content: 'My name is Ada' }, { content: 'Hello Ada' }]);
    await stage.settled();
    expect(await stage.proxy.db.collection('sessions').countDocuments({ user_id: stage.alice.userId })).toBe(0);
    const left = await stage.proxy.db.collection('upstream_forgets').findOne({ chat_id: String(sent['chatId']) });
    expect(left).toMatchObject({ chatflow_id: model });
  });

  it.each([
    ['tools', { tools: [{ type: 'function' as const, function: { name: 'f' } }] }],
    ['n', { n: 2 }],
    ['response_format', { response_format: { type: 'json_object' as const } }],
  ])('refuses %s by name', async (param, extra) => {
    const asking = { model: stage.proxy.flowise.chain.id, messages: [user('Hi')], ...extra };
    const error = await thrownBy(() => stage.client.chat.completions.create(asking));
    expect(error).toMatchObject({ status: 400, code: 'unsupported_parameter', param });
    expect(stage.proxy.flowise.calls()).toBe(0);
  });

  it('that somebody else may use is no model at all', async () => {
    await stage.proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${stage.proxy.flowise.chain.id}`, {
      is_public: false,
    });
    const asking = { model: stage.proxy.flowise.chain.id, messages: [user('Hi')] };
    await expect(stage.client.chat.completions.create(asking)).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
    await stage.proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${stage.proxy.flowise.chain.id}`, {
      is_public: true,
    });
  });
});

describe('embeddings', () => {
  it('come for texts and token numbers, in the asked size, at the reported usage', async () => {
    const { data, usage } = await stage.client.embeddings.create({
      model: 'priced',
      input: ['one two', 'three'],
      dimensions: 4,
    });
    expect(data.map(({ index, embedding }) => [index, embedding.length])).toEqual([
      [0, 4],
      [1, 4],
    ]);
    expect(usage).toMatchObject({ prompt_tokens: 3, total_tokens: 3, estimated: false });
    expect(await stage.settled()).toMatchObject({
      kind: 'settle',
      units: { input: 3, output: 0 },
      usageSource: 'provider',
    });
    const tokens = await stage.client.embeddings.create({
      model: 'priced',
      input: [11, 12, 13],
      encoding_format: 'float',
    });
    expect([tokens.data.length, tokens.usage.prompt_tokens]).toEqual([1, 3]);
    expect(stage.sentBody(1)).toEqual({ model: 'priced', input: [11, 12, 13], encoding_format: 'float' });
  });

  it('are reserved by the bytes of the input, charged by our own count when nobody counts, and free when they fail', async () => {
    await stage.client.embeddings.create({ model: 'priced', input: directive({ usage: 'absent' }) });
    expect(await stage.settled()).toMatchObject({ usageSource: 'estimated', units: { output: 0 } });
    const { units } = stage.proxy.accounting.holds().at(-1)?.hold ?? {};
    expect(units).toMatchObject({ input: directive({ usage: 'absent' }).length + 8, output: 0 });
    const error = await thrownBy(() =>
      stage.client.embeddings.create({ model: 'priced', input: directive({ error: { status: 500 } }) }),
    );
    expect(error).toMatchObject({ status: 502, code: 'upstream_failed' });
    expect(await stage.settled()).toMatchObject({ kind: 'void' });
  });

  it('of a chatflow or with a foreign parameter are refused before anything is reserved', async () => {
    await expect(
      stage.client.embeddings.create({ model: stage.proxy.flowise.chain.id, input: 'x' }),
    ).rejects.toBeInstanceOf(NotFoundError);
    const error = await thrownBy(() =>
      stage.client.embeddings.create({ model: 'priced', input: 'x', api_base: 'x' } as never),
    );
    expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'api_base' });
    expect(stage.done).toBe(0);
  });
});
