import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type FakeOpenAi, startFakeOpenAi } from '../src/fakes/fake-openai.ts';
import type { Scenario } from '../src/fakes/scenario.ts';
import { payloads, post, rawExchange, readChunks } from './wire.ts';

let fake: FakeOpenAi;
beforeAll(async () => {
  fake = await startFakeOpenAi();
});
afterAll(() => fake.stop());

const messages = [{ role: 'user', content: 'hi' }];
const body = { model: 'm', messages, stream: true, stream_options: { include_usage: true } };

async function ask(scenario: Scenario, more: object = {}) {
  fake.reset();
  fake.next(scenario);
  return post(`${fake.url}/chat/completions`, { ...body, ...more });
}

async function read(scenario: Scenario, more: object = {}): Promise<string> {
  return (await ask(scenario, more)).body.text();
}

/** The usage texts of a stream, unparsed: some of them are no proper numbers. */
function usages(stream: string): string[] {
  return payloads(stream).flatMap((data) => {
    const numbers = /"prompt_tokens":([^,]+),"completion_tokens":([^,]+),"total_tokens":([^,]+)/.exec(data);
    return numbers ? [numbers.slice(1).join(' ')] : [];
  });
}

describe('usage variants', () => {
  it.each<[NonNullable<Scenario['usage']>, string[]]>([
    ['exact', ['4 6 10']],
    ['absent', []],
    ['null', []],
    ['zero', ['0 0 0']],
    ['negative', ['-4 -6 -10']],
    ['string', ['"4" "6" "10"']],
    ['overflow', ['4 1e309 1e309']],
    ['running', ['4 3 7', '4 6 10']],
    ['with-choices', ['4 6 10']],
    ['late', ['4 6 10']],
    [{ input: 1.5, output: 2, total: 99 }, ['1.5 2 99']],
  ])('%j', async (usage, expected) => {
    expect(usages(await read({ tokens: 6, usage }))).toEqual(expected);
    expect(fake.requests[0]?.usage).toEqual({ input: 4, output: 6 }); // the truth stays known
  });

  it('rides in the finishing chunk or comes after [DONE] when asked to', async () => {
    const riding = payloads(await read({ tokens: 1, usage: 'with-choices' })).find((data) =>
      data.includes('prompt_tokens'),
    );
    expect(JSON.parse(riding ?? '')).toMatchObject({
      choices: [{ finish_reason: 'stop' }],
      usage: { total_tokens: 5 },
    });
    const late = payloads(await read({ tokens: 1, usage: 'late' }));
    expect(late.at(-2)).toBe('[DONE]');
    expect(late.at(-1)).toContain('"prompt_tokens":4');
  });
});

describe('broken endings', () => {
  it('leaves out finish reason and [DONE]', async () => {
    const stream = await read({ tokens: 2, omit: ['finish', 'done'] });
    expect(stream).not.toContain('"finish_reason":"stop"');
    expect(payloads(stream)).not.toContain('[DONE]');
  });

  it.each([{ resetAfter: 2 }, { cutAfter: 2 }])('loses the connection after two tokens: %j', async (fault) => {
    const res = await ask({ tokens: 5, ...fault });
    let seen = '';
    const reading = (async () => {
      for await (const part of res.body) seen += part;
    })();
    await expect(reading).rejects.toThrow();
    expect(payloads(seen).map((data) => JSON.parse(data).choices[0].delta.content)).toEqual(['', 't1', ' t2']);
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'fake' });
    expect(fake.requests[0]).toMatchObject({ generation: 'failed', tokensSent: 2 });
  });

  it('reports an error inside the stream, without [DONE]', async () => {
    const data = payloads(await read({ tokens: 5, errorEvent: { after: 1, message: 'out of memory' } }));
    expect(data).toHaveLength(3);
    expect(JSON.parse(data[2] ?? '')).toMatchObject({ error: { message: 'out of memory', type: 'server_error' } });
  });

  it('breaks a JSON answer in the middle of its body', async () => {
    const res = await ask({ tokens: 5, resetAfter: 1 }, { stream: false });
    expect(res.statusCode).toBe(200);
    await expect(res.body.text()).rejects.toThrow();
    const garbled = await read({ tokens: 5, intrusion: { after: 0, kind: 'broken-json' } }, { stream: false });
    expect(() => JSON.parse(garbled)).toThrow();
  });
});

describe('refusals', () => {
  it('answers any status with Retry-After and body, a limited number of times', async () => {
    const scenario: Scenario = { error: { status: 429, retryAfterSeconds: 7, times: 1 } };
    const first = await ask(scenario);
    expect([first.statusCode, first.headers['retry-after']]).toEqual([429, '7']);
    expect(await first.body.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
    fake.next(scenario);
    const second = await post(`${fake.url}/chat/completions`, body);
    expect(second.statusCode).toBe(200);
    await second.body.dump();
    const third = await ask({ error: { status: 503, body: '<h1>down</h1>' } });
    expect([third.headers['content-type'], await third.body.text()]).toEqual([
      'text/html; charset=utf-8',
      '<h1>down</h1>',
    ]);
  });

  it('answers a page, or nothing at all', async () => {
    const page = await ask({ html: true });
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=UTF-8']);
    await page.body.dump();
    const leave = new AbortController();
    fake.reset();
    fake.next({ hang: true });
    const silent = post(`${fake.url}/chat/completions`, body, { signal: leave.signal });
    await fake.untilCall(0);
    leave.abort();
    await expect(silent).rejects.toThrow();
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'client' });
    expect((await fake.untilGenerated(0)).tokensSent).toBe(0);
  });

  it('replaces the whole response by raw bytes', async () => {
    fake.reset();
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabcdef';
    fake.next({ raw: { base64: Buffer.from(text).toString('base64') } });
    const head = ['POST /v1/chat/completions HTTP/1.1', 'Content-Type: application/json'];
    expect((await rawExchange(fake.port, head, JSON.stringify(body))).toString()).toBe(text);
  });
});

describe('bytes', () => {
  const head = ['POST /v1/chat/completions HTTP/1.1', 'Content-Type: application/json'];
  const chunksOf = async (scenario: Scenario) => {
    fake.reset();
    fake.next(scenario);
    return readChunks(await rawExchange(fake.port, head, JSON.stringify(body))).chunks;
  };

  it('cuts the body at the given offsets, inside a character too', async () => {
    const whole = Buffer.from((await chunksOf({ text: 'ü' })).join(''));
    const at = whole.indexOf('ü') + 1;
    fake.reset();
    fake.next({ text: 'ü', sliceAt: [3, at] });
    const { sizes } = readChunks(await rawExchange(fake.port, head, JSON.stringify(body)));
    const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size, 0));
    expect(ends[0]).toBe(3);
    expect(ends).toContain(at);
    expect(ends.at(-1)).toBe(whole.length);
  });

  it('cuts the body into equal pieces', async () => {
    const chunks = await chunksOf({ tokens: 2, sliceBytes: 10 });
    const sizes = chunks.map((chunk) => chunk.length);
    expect(Math.max(...sizes)).toBe(10);
    expect(chunks.join('')).toContain('data: [DONE]\n\n');
  });

  it.each([
    ['crlf', '\r\n'],
    ['cr', '\r'],
  ] as const)('ends lines with %s', async (lineEnd, end) => {
    const stream = (await chunksOf({ tokens: 1, lineEnd })).join('');
    expect(stream.endsWith(`data: [DONE]${end}${end}`)).toBe(true);
    expect(stream.replaceAll(end, '')).not.toMatch(/\n/);
  });

  it.each([
    ['broken-json', 'data: {"choices":[{"index":0,"delta":{"content":"never\n\n'],
    ['unknown-event', 'event: mystery\ndata: {"type":"mystery","value":1}\n\n'],
    ['html', '<!DOCTYPE html>'],
  ] as const)('puts %s between two tokens', async (kind, expected) => {
    const chunks = await chunksOf({ tokens: 2, intrusion: { after: 1, kind } });
    expect(chunks[2]).toContain(expected);
    expect(chunks[3]).toContain('" t2"');
  });

  it('sends a line of any length and raw bytes', async () => {
    const stream = await read({ tokens: 1, intrusion: { after: 0, kind: 'huge-line', bytes: 200_000 } });
    expect(payloads(stream)[1]).toBe(`"${'x'.repeat(200_000)}"`);
    const raw = await read({ tokens: 1, intrusion: { after: 1, kind: 'raw', content: { text: ': note\r\n\r\n' } } });
    expect(raw).toContain(': note\r\n\r\n');
  });

  it('keeps a hanging stream warm with comments', async () => {
    fake.reset();
    fake.next({ tokens: 3, hangAfter: 1, heartbeatMs: 5 });
    const seen = await rawExchange(
      fake.port,
      head,
      JSON.stringify(body),
      (text) => text.split(': keep-alive').length > 3,
    );
    expect(seen.toString()).toContain(': keep-alive\n\n');
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'client' });
  });

  it('adds response headers, its own cookie included', async () => {
    const res = await ask({ headers: { 'X-Extra': 'yes', Server: 'other' } });
    await res.body.dump();
    expect(res.headers).toMatchObject({ 'x-extra': 'yes', server: 'other' });
    expect(String(res.headers['set-cookie'])).toContain('__cf_bm');
  });

  it('waits for a reader that is slow instead of filling its memory', async () => {
    const res = await ask({ tokens: Array.from({ length: 10_000 }, () => 'y'.repeat(8_192)) });
    await fake.untilSent(0, 1);
    const calls = fake.requests[0];
    const { value } = await res.body[Symbol.asyncIterator]().next();
    expect(value?.length).toBeGreaterThan(0);
    expect(calls?.tokensSent).toBeLessThan(10_000);
    res.body.destroy();
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'client' });
  });
});
