import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { type FakeOpenAi, startFakeOpenAi } from '../src/fakes/fake-openai.ts';
import { directive } from '../src/fakes/scenario.ts';
import { payloads, post, rawExchange, readChunks } from './wire.ts';

let fake: FakeOpenAi;
beforeEach(async () => {
  fake = await startFakeOpenAi({ apiKey: 'sk-test' });
});
afterEach(() => fake.stop());

const key = { authorization: 'Bearer sk-test' };
const chat = (content: string, more: object = {}) =>
  post(
    `${fake.url}/chat/completions`,
    { model: 'm', messages: [{ role: 'user', content }], ...more },
    { headers: key },
  );
const streamed = { stream: true, stream_options: { include_usage: true } };

describe('the fake OpenAI', () => {
  it('repeats the question in a JSON answer with the usage that it counted', async () => {
    const answer = await chat('hello there').then((res) => res.body.json());
    expect(answer).toMatchObject({
      object: 'chat.completion',
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Echo: hello there' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
    });
    expect(fake.requests[0]?.usage).toEqual({ input: 5, output: 3 });
  });

  it('streams role, tokens, finish, usage and [DONE], one frame per HTTP chunk', async () => {
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...streamed });
    const head = [
      'POST /v1/chat/completions HTTP/1.1',
      'Authorization: Bearer sk-test',
      'Content-Type: application/json',
    ];
    const { chunks } = readChunks(await rawExchange(fake.port, head, body));
    expect(chunks.every((chunk) => /^data: [^\n]+\n\n$/.test(chunk))).toBe(true);
    const parsed = chunks.slice(0, -1).map((chunk) => JSON.parse(chunk.slice('data: '.length)));
    expect(parsed.map(({ choices }) => choices[0]?.delta ?? 'none')).toEqual([
      { role: 'assistant', content: '', refusal: null },
      { content: 'Echo:' },
      { content: ' hi' },
      {},
      'none',
    ]);
    expect(parsed.map(({ usage }) => usage?.total_tokens ?? usage)).toEqual([null, null, null, null, 6]);
    expect(parsed.map(({ choices }) => choices[0]?.finish_reason)).toEqual([null, null, null, 'stop', undefined]);
    expect(chunks.at(-1)).toBe('data: [DONE]\n\n');
  });

  it('says nothing about usage in a stream that did not ask for it', async () => {
    const text = await chat('hi', { stream: true }).then((res) => res.body.text());
    expect(text).not.toContain('usage');
    expect(payloads(text).at(-1)).toBe('[DONE]');
  });

  it('obeys max_tokens and says that it was cut', async () => {
    const answer = await chat(directive({ tokens: 10 }), { max_tokens: 4 }).then((res) => res.body.json());
    expect(answer).toMatchObject({
      choices: [{ message: { content: 't1 t2 t3 t4' }, finish_reason: 'length' }],
      usage: { completion_tokens: 4 },
    });
    const stubborn = directive({ tokens: 10, ignoreMaxTokens: true });
    expect(await chat(stubborn, { max_completion_tokens: 4 }).then((res) => res.body.json())).toMatchObject({
      usage: { completion_tokens: 10 },
    });
  });

  it('recalls what the user said earlier in the messages', async () => {
    const messages = [
      { role: 'user', content: `my name is alice ${directive({ tokens: 1 })}` },
      { role: 'assistant', content: 'Echo' },
      { role: 'user', content: [{ type: 'text', text: 'what did I say?' }] },
    ];
    const answer = await chat('', { messages }).then((res) => res.body.json());
    expect(answer).toMatchObject({ choices: [{ message: { content: 'You told me: my name is alice' } }] });
  });

  it('calls a tool and answers once the result is there', async () => {
    const scenario = directive({ toolCall: { name: 'add', arguments: { a: 1, b: 'two}' } } });
    const text = await chat(scenario, streamed).then((res) => res.body.text());
    const calls = payloads(text)
      .slice(0, -1)
      .flatMap((data) => JSON.parse(data).choices[0]?.delta.tool_calls ?? []);
    expect(calls[0]).toMatchObject({ type: 'function', function: { name: 'add', arguments: '' } });
    expect(JSON.parse(calls.map((call) => call.function.arguments).join(''))).toEqual({ a: 1, b: 'two}' });
    expect(text).toContain('"finish_reason":"tool_calls"');

    const messages = [
      { role: 'user', content: scenario },
      { role: 'tool', tool_call_id: 'x', content: '3' },
    ];
    const answer = await chat('', { messages }).then((res) => res.body.json());
    expect(answer).toMatchObject({ choices: [{ message: { content: 'Echo: the tool answered 3' } }] });
  });

  it('lists its models and refuses other keys without counting a call', async () => {
    const list = await request(`${fake.url}/models`, { headers: key }).then((res) => res.body.json());
    expect(list).toMatchObject({ object: 'list', data: [{ id: 'fake-small' }, { id: 'fake-large' }] });
    const refused = await post(`${fake.url}/chat/completions`, { messages: [] });
    expect(refused.statusCode).toBe(401);
    expect(await refused.body.json()).toMatchObject({ error: { code: 'invalid_api_key' } });
    expect([fake.calls(), fake.otherRequests.length]).toEqual([0, 2]);
  });

  it('embeds equal texts equally, as numbers or base64', async () => {
    const embed = (more: object) =>
      post(`${fake.url}/embeddings`, { model: 'e', input: ['a b', 'c', 'a b'], ...more }, { headers: key })
        .then((res) => res.body.json())
        .then((body) => body as { data: { embedding: unknown }[]; usage: { prompt_tokens: number } });
    const { data, usage } = await embed({});
    expect(data[0]?.embedding).toEqual(data[2]?.embedding);
    expect(data[0]?.embedding).not.toEqual(data[1]?.embedding);
    expect(usage.prompt_tokens).toBe(5);
    const coded = await embed({ encoding_format: 'base64' });
    const floats = new Float32Array(Uint8Array.from(Buffer.from(String(coded.data[1]?.embedding), 'base64')).buffer);
    expect([...floats]).toEqual(data[1]?.embedding);
  });

  it('records headers and body of each call and forgets them on reset', async () => {
    await chat('hi', { temperature: 0.5 }).then((res) => res.body.dump());
    expect(fake.requests[0]).toMatchObject({
      path: '/v1/chat/completions',
      headers: key,
      body: { temperature: 0.5 },
      generation: 'completed',
      tokensSent: 2,
    });
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'completion' });
    fake.reset();
    expect([fake.calls(), fake.requests]).toEqual([0, []]);
  });

  it('refuses a broken directive with the reason', async () => {
    const res = await chat('{{scenario:{"tokenz":1}}}');
    expect(res.statusCode).toBe(400);
    expect(await res.body.text()).toContain('tokenz');
  });
});

describe('what tests can await', () => {
  it('is told when a call arrives, what was sent, and that the client has left', async () => {
    const arrival = fake.untilCall(0);
    const leave = new AbortController();
    const res = await post(
      `${fake.url}/chat/completions`,
      { model: 'm', messages: [{ role: 'user', content: directive({ tokens: 9, hangAfter: 3 }) }], stream: true },
      { headers: key, signal: leave.signal },
    );
    expect((await arrival).index).toBe(0);
    await fake.untilSent(0, 3);
    leave.abort();
    await expect(res.body.text()).rejects.toThrow();
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'client' });
    const call = await fake.untilGenerated(0);
    expect(call).toMatchObject({ generation: 'aborted', tokensSent: 3, usage: { output: 3 } });
    expect(call.closedByClientAt).toBeGreaterThanOrEqual(call.at);
  });

  it('fails by name when the fake is stopped first', async () => {
    const never = fake.untilCall(7);
    await fake.stop();
    await expect(never).rejects.toThrow('the fake OpenAI was stopped while a test waited for call 7');
  });
});
