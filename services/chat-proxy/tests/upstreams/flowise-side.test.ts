import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeFlowise, startFakeFlowise } from '@tollgate/test-kit';
import { type Flowise, flowise } from '../../src/clients/flowise/flowise.ts';
import { flowiseSide } from '../../src/clients/flowise/flowise-side.ts';
import type { FlowAt, FlowiseSide } from '../../src/ports.ts';
import { chatflowOf } from '../fixtures/doubles.ts';
import { codeOf } from '../fixtures/flow-stage.ts';
import { until } from '../fixtures/proxy.ts';
import { serverOptions } from '../fixtures/servers.ts';

let fake: FakeFlowise;
let client: Flowise;
let side: FlowiseSide;
let flow: FlowAt;
beforeAll(async () => {
  fake = await startFakeFlowise();
  client = flowise(serverOptions({ baseUrl: fake.url, apiKey: fake.apiKey }));
  side = flowiseSide(() => client.side);
  flow = chatflowOf({ id: fake.chain.id as FlowAt['id'] });
});
beforeEach(() => fake.reset());
afterAll(async () => {
  await client.close();
  await fake.stop();
});

const file = (text: string, mime = 'text/plain') => ({ name: 'note ü.txt', mime, bytes: Buffer.from(text) });
const refusal = (work: Promise<unknown>) => work.then(() => 'no error', codeOf);

describe('a chat window beside its answers', () => {
  it('has the text of a file taken out, under the conversation as the upstream knows it', async () => {
    const chatId = randomUUID();
    expect(await side.attachments(flow, chatId, [file('Grüße'), file('two')])).toEqual([
      { name: 'note ü.txt', mimeType: 'text/plain', size: 7, content: 'Grüße' },
      { name: 'note ü.txt', mimeType: 'text/plain', size: 3, content: 'two' },
    ]);
    expect(fake.otherRequests.at(-1)?.path).toBe(`/api/v1/attachments/${flow.id}/${chatId}`);
    expect(Buffer.from(await side.uploadedFile(flow, chatId, 'note ü.txt')).toString()).toBe('two');
  });

  it('is refused a kind of file that the flow does not take, and files where the flow takes none', async () => {
    expect(await refusal(side.attachments(flow, randomUUID(), [file('x', 'image/png')]))).toBe('VALIDATION_FAILED');
    const other = { ...flow, id: fake.agentflow.id as FlowAt['id'] };
    expect(await refusal(side.attachments(other, randomUUID(), [file('x')]))).toBe('VALIDATION_FAILED');
  });

  it('gets no file that is not there, and no page of Flowise instead', async () => {
    expect(await refusal(side.uploadedFile(flow, randomUUID(), '../../etc/passwd'))).toBe('NOT_FOUND');
    const misplaced = flowise(serverOptions({ baseUrl: `${fake.url}/elsewhere` }));
    expect(await refusal(flowiseSide(() => misplaced.side).uploadedFile(flow, 'c', 'f'))).toBe(
      'UPSTREAM_PROTOCOL_ERROR',
    );
    expect(await refusal(flowiseSide(() => misplaced.side).lead(flow, { chatId: 'c' }))).toBe(
      'UPSTREAM_PROTOCOL_ERROR',
    );
    await misplaced.close();
  });

  it('feeds the flow’s store, and learns nothing of what is in it', async () => {
    expect(
      await side.upsert(flow, { files: [file('a')], fields: { stopNodeId: 'x', overrideConfig: { a: 1 } } }),
    ).toEqual({
      numAdded: 1,
      numDeleted: 0,
      numUpdated: 0,
      numSkipped: 0,
    });
    expect(String(fake.otherRequests.at(-1)?.body)).toContain('{"a":1}');
    expect(await side.upsert(flow, { files: [], fields: { stopNodeId: 'x' } })).toMatchObject({ numAdded: 0 });
    expect(fake.otherRequests.at(-1)?.body).toEqual({ stopNodeId: 'x' });
  });

  it('leaves a rating, changes it, and leaves an address', async () => {
    const [chatId, messageId] = [randomUUID(), randomUUID()];
    const id = await side.feedback(flow, { chatId, messageId, rating: 'THUMBS_DOWN', content: 'too long' });
    expect(fake.feedback).toMatchObject([{ chatflowid: flow.id, chatId, messageId, rating: 'THUMBS_DOWN', id }]);
    await side.changeFeedback(flow, id, { rating: 'THUMBS_UP' });
    expect(fake.otherRequests.at(-1)).toMatchObject({ method: 'PUT', path: `/api/v1/feedback/${id}` });
    await side.lead(flow, { chatId, email: 'alice@example.test' });
    expect(fake.leads).toMatchObject([{ chatflowid: flow.id, chatId, email: 'alice@example.test' }]);
  });
});

describe('speech', () => {
  const message = () => ({ chatId: randomUUID(), messageId: randomUUID() });

  async function hear(text: string, signal = new AbortController().signal) {
    const events: unknown[] = [];
    try {
      for await (const event of side.textToSpeech(flow, { ...message(), text }, signal)) events.push(event);
    } catch (error) {
      events.push(codeOf(error));
    }
    return events;
  }

  it('comes piece by piece, without the upstream’s ids', async () => {
    expect(await hear('one two')).toEqual([
      { event: 'tts_start', format: 'mp3' },
      { event: 'tts_data', audioChunk: Buffer.from('one').toString('base64') },
      { event: 'tts_data', audioChunk: Buffer.from('two').toString('base64') },
      { event: 'tts_end' },
    ]);
    expect(fake.otherRequests.map(({ path }) => path)).toEqual(['/api/v1/text-to-speech/generate']);
  });

  it('may fail, which says nothing of the provider', async () => {
    expect((await hear('one FAIL two')).at(-1)).toBe('UPSTREAM_FAILED');
  });

  it('is stopped at Flowise when its listener leaves', async () => {
    const names = message();
    for await (const { event } of side.textToSpeech(flow, { ...names, text: 'one two' }, new AbortController().signal))
      if (event === 'tts_data') break;
    const stop = () =>
      fake.otherRequests.find(
        ({ path, body }) => path === '/api/v1/text-to-speech/abort' && Object(body).chatId === names.chatId,
      );
    await until(() => stop() !== undefined);
    expect(stop()?.body).toEqual({ chatflowId: flow.id, chatId: names.chatId, chatMessageId: names.messageId });
  });
});
