import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { startWebhookSink, type WebhookSink } from '../src/index.ts';

let sink: WebhookSink;
beforeAll(async () => {
  sink = await startWebhookSink();
});
beforeEach(() => sink.clear());
afterAll(() => sink.stop());

const post = (body: string) => request(sink.url, { method: 'POST', body, headers: { 'webhook-id': 'a' } });

describe('the webhook sink', () => {
  it('records bytes and headers as they came', async () => {
    const body = '{ "ü": "\\u00fc" }\n';
    expect((await post(body)).statusCode).toBe(204);
    const { raw, headers, path, method } = await sink.untilReceived(0);
    expect({ raw: raw.toString(), id: headers['webhook-id'], path, method }).toEqual({
      raw: body,
      id: 'a',
      path: '/hook',
      method: 'POST',
    });
  });

  it('answers in the order of its script, then always with 204', async () => {
    sink.script({ status: 503, headers: { 'retry-after': '7' } }, { reset: true });
    expect(await post('1')).toMatchObject({ statusCode: 503, headers: { 'retry-after': '7' } });
    await expect(post('2')).rejects.toMatchObject({ code: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) });
    expect((await post('3')).statusCode).toBe(204);
    expect(sink.received.map(({ raw }) => raw.toString())).toEqual(['1', '2', '3']);
  });

  it('leaves a request without an answer when it hangs', async () => {
    sink.script({ hang: true });
    const answer = request(sink.url, { method: 'POST', body: 'x', headersTimeout: 300 });
    await expect(answer).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' });
    expect(sink.received).toHaveLength(1);
  });
});
