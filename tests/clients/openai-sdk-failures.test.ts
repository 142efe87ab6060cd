import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import { AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { SdkStage, thrownBy, user } from './sdk-stage.ts';

let stage: SdkStage;
beforeAll(async () => {
  stage = await SdkStage.start();
});
afterAll(() => stage.proxy.stop());
beforeEach(() => stage.reset());

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
      stage.client.chat.completions.create({ model: 'priced', messages: [user('Hi')], ...extra }),
    );
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ code: 'unsupported_parameter', param, type: 'invalid_request_error' });
    expect(stage.done).toBe(0);
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
    const error = await thrownBy(() => stage.client.chat.completions.create({ model: 'priced', messages }));
    expect(error).toMatchObject({ status: 400, code: 'validation_failed' });
    expect(error.param).toMatch(/^messages\.0\.content/);
    expect(stage.done).toBe(0);
  });

  it('nobody is 401, and is told so by the exception of the package', async () => {
    const error = await thrownBy(() =>
      stage.clientOf('nonsense').chat.completions.create({ model: 'priced', messages: [user('Hi')] }),
    );
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error.code).toBe('invalid_token');
  });

  it.each([false, true])('no credits are 402 before the model is asked (stream: %s)', async (stream) => {
    const poor = await stage.proxy.person({ balance: 0 });
    const asking = { model: 'priced', messages: [user('Hi')], stream };
    const error = await thrownBy(() => stage.clientOf(poor.token).chat.completions.create(asking));
    expect(error).toMatchObject({ status: 402, code: 'insufficient_credits', type: 'insufficient_quota' });
    expect(stage.proxy.openai.calls()).toBe(0);
  });

  it('an unknown model is 404, before anything is reserved', async () => {
    const error = await thrownBy(() =>
      stage.client.chat.completions.create({ model: 'gpt-none', messages: [user('Hi')] }),
    );
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model' });
    expect(stage.done).toBe(0);
  });

  it('429 carries Retry-After, and the package waits and gets its answer', async () => {
    const busy = { error: { status: 429, retryAfterSeconds: 1 } };
    const once = await thrownBy(() =>
      stage.client.chat.completions.create({ model: 'priced', messages: [user(directive(busy))] }),
    );
    expect(once).toBeInstanceOf(RateLimitError);
    expect(once.headers?.get('retry-after')).toBe('1');
    stage.proxy.openai.next({ error: { status: 429, retryAfterSeconds: 0 } }, { text: 'At last' });
    const patient = await stage
      .clientOf(stage.alice.token, 1)
      .chat.completions.create({ model: 'priced', messages: [user('Hi')] });
    expect(patient.choices[0]?.message.content).toBe('At last');
    expect(await stage.spent()).toBe(2);
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
    const error = await thrownBy(() => stage.client.chat.completions.create({ ...asking, stream: true }));
    expect(error).toMatchObject({ status: shown, code });
    expect(JSON.stringify(error.error)).not.toContain('10.1.2.3');
    expect(await stage.spent()).toBe(0);
  });

  it('a conversation that is too long for the model is told apart', async () => {
    const error = {
      status: 400,
      body: { error: { message: 'maximum context length', code: 'context_length_exceeded' } },
    };
    const thrown = await thrownBy(() =>
      stage.client.chat.completions.create({ model: 'priced', messages: [user(directive({ error }))] }),
    );
    expect(thrown).toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });

  it.each([
    ['an error event', { tokens: 9, errorEvent: { after: 3 } }, 'upstream_failed'],
    ['a broken connection', { tokens: 9, resetAfter: 3 }, 'upstream_interrupted'],
    ['silence', { tokens: 9, hangAfter: 3 }, 'upstream_timeout'],
    ['garbage', { tokens: 9, intrusion: { after: 3, kind: 'broken-json' as const } }, 'upstream_protocol_error'],
  ])('%s in the middle is thrown after what came, and costs what came', async (_, scenario, code) => {
    const stream = await stage.client.chat.completions.create({
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
    expect(await stage.spent()).toBe(3);
    const status = await thrownBy(() =>
      stage.client.chat.completions.create({ model: 'priced', messages: [user(directive(scenario))] }),
    );
    expect([status.code, status.status]).toEqual([code, code === 'upstream_timeout' ? 504 : 502]);
  });

  it('a client that leaves stops the model and pays what was produced', async () => {
    const stream = await stage.client.chat.completions.create({
      model: 'priced',
      messages: [user(directive({ tokens: 50, hangAfter: 5 }))],
      stream: true,
    });
    let seen = 0;
    for await (const _ of stream) if ((seen += 1) === 5) break;
    expect(await stage.proxy.openai.untilClosed(0)).toMatchObject({ by: 'client' });
    expect(await stage.spent()).toBe(stage.proxy.openai.requests[0]?.usage.output);
    expect(await stage.settled()).toMatchObject({ outcome: 'aborted', units: { output: 5 } });
  });

  it('a quiet model is bridged by comments that the package passes over', async () => {
    const text = await stage.client.chat.completions
      .stream({ model: 'priced', messages: [user(directive({ tokens: 3, tokenDelayMs: 130 }))] })
      .finalContent();
    expect(text).toBe('t1 t2 t3');
  });
});
