import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { type FakeFlowise, startFakeFlowise } from '../src/fakes/fake-flowise.ts';
import { AGENT_FLOW, CHAIN_FLOW, FLOWISE_SECRETS } from '../src/fakes/flowise/flowise-flows.ts';
import { post } from './wire.ts';

let fake: FakeFlowise;
beforeAll(async () => {
  fake = await startFakeFlowise({ apiKey: 'management' });
});
beforeEach(() => fake.reset());
afterAll(() => fake.stop());

const UNKNOWN = '00000000-0000-4000-8000-000000000000';
const withKey = { authorization: 'Bearer management' };

async function get(path: string, headers: Record<string, string> = {}, method: 'GET' | 'DELETE' = 'GET') {
  const res = await request(`${fake.url}/api/v1/${path}`, { method, headers });
  const type = String(res.headers['content-type']).split(';')[0];
  const text = await res.body.text();
  return { status: res.statusCode, type, text, json: type === 'application/json' ? JSON.parse(text) : undefined };
}

describe('the flow list', () => {
  it('needs the key and holds whole flows, secrets included', async () => {
    expect(await get('chatflows')).toMatchObject({ status: 401, json: { error: 'Unauthorized Access' } });
    expect(await get('chatflows', { authorization: 'Bearer wrong' })).toMatchObject({ status: 401 });
    const { json } = await get('chatflows', withKey);
    expect(json).toMatchObject([
      { id: CHAIN_FLOW.id, type: 'CHATFLOW', category: 'general', apikeyid: null },
      { id: AGENT_FLOW.id, type: 'AGENTFLOW', category: 'agents;general' },
    ]);
    expect(JSON.parse(json[0].flowData).nodes).toHaveLength(3);
    for (const row of json) expect(row.flowData).toContain(FLOWISE_SECRETS.credentialId);
  });

  it('filters by type and pages', async () => {
    expect((await get('chatflows?type=AGENTFLOW', withKey)).json).toMatchObject([{ id: AGENT_FLOW.id }]);
    const page = (await get('chatflows?page=2&limit=1', withKey)).json;
    expect(page).toMatchObject({ total: 2, data: [{ id: AGENT_FLOW.id }] });
  });

  it('changes when an operator edits the flows', async () => {
    fake.setFlows([CHAIN_FLOW]);
    expect((await get('chatflows', withKey)).json).toHaveLength(1);
    expect(await get(`chatflows/${AGENT_FLOW.id}`, withKey)).toMatchObject({ status: 404 });
    fake.setFlows([CHAIN_FLOW, AGENT_FLOW]);
    expect((await get(`chatflows/${AGENT_FLOW.id}`, withKey)).json).toMatchObject({ name: AGENT_FLOW.name });
  });
});

describe('public routes', () => {
  it('answer without a key, and with 500 for an unknown flow', async () => {
    expect(await get(`chatflows-streaming/${CHAIN_FLOW.id}`)).toMatchObject({ json: { isStreaming: true } });
    expect(await get(`chatflows-streaming/${UNKNOWN}`)).toMatchObject({ status: 500, json: { success: false } });
    const config = (await get(`public-chatbotConfig/${CHAIN_FLOW.id}`)).json;
    expect(config).toMatchObject({ welcomeMessage: expect.any(String), uploads: { isImageUploadAllowed: false } });
    expect(config).not.toHaveProperty('allowedOrigins');
    expect(config.flowData).toContain(FLOWISE_SECRETS.modelUrl);
    expect(await get(`public-chatbotConfig/${UNKNOWN}`)).toMatchObject({ status: 500 });
    expect(await get(`public-chatflows/${CHAIN_FLOW.id}`)).toMatchObject({
      status: 401,
      json: { message: 'Unauthorized' },
    });
    expect(await get('verify/apikey/management')).toMatchObject({ status: 200, json: 'OK' });
    expect(await get('verify/apikey/wrong')).toMatchObject({ status: 401 });
  });

  it('tell liveness and version', async () => {
    expect(await get('ping')).toMatchObject({ status: 200, text: 'pong' });
    expect((await get('version')).json).toEqual({ version: '3.1.4' });
  });

  it('answer every unknown path with a page and status 200', async () => {
    expect(await get('nothing-here', withKey)).toMatchObject({ status: 200, type: 'text/html' });
    expect(await get(`prediction/${CHAIN_FLOW.id}`)).toMatchObject({ status: 200, type: 'text/html' });
    expect(fake.calls()).toBe(0);
    expect(fake.otherRequests.map(({ path }) => path)).toContain('/api/v1/nothing-here');
  });
});

describe('stored messages', () => {
  it('are listed and deleted per chat, with the key', async () => {
    for (const question of ['first', 'second']) {
      const res = await post(`${fake.url}/api/v1/prediction/${CHAIN_FLOW.id}`, { question, chatId: 'c 1' });
      await res.body.dump();
    }
    const path = `chatmessage/${CHAIN_FLOW.id}?chatId=c%201`;
    expect(await get(path)).toMatchObject({ status: 401 });
    expect((await get(path, withKey)).json).toMatchObject([
      { role: 'userMessage', content: 'first', chatId: 'c 1', chatType: 'EXTERNAL' },
      { role: 'apiMessage', content: 'Echo: first' },
      { content: 'second' },
      { content: 'Echo: second' },
    ]);
    expect((await get(`${path}&order=DESC`, withKey)).json[0]).toMatchObject({ content: 'Echo: second' });
    expect((await get(`chatmessage/${CHAIN_FLOW.id}?chatId=nobody`, withKey)).json).toEqual([]);
    expect(await get(`chatmessage/${UNKNOWN}`, withKey)).toMatchObject({ status: 500 });
    expect((await get(path, withKey, 'DELETE')).json).toEqual({ raw: [], affected: 4 });
    expect((await get(path, withKey)).json).toEqual([]);
  });
});

describe('attachments', () => {
  const attach = async (flowId: string, chatId: string, type = 'text/plain') => {
    const form = new FormData();
    form.append('files', new File(['Attached.\nTwo lines.'], 'note.txt', { type }));
    const res = await fetch(`${fake.url}/api/v1/attachments/${flowId}/${chatId}`, { method: 'POST', body: form });
    return { status: res.status, json: await res.json() };
  };

  it('come back with their text and can be downloaded without a key', async () => {
    expect(await attach(CHAIN_FLOW.id, 'c')).toEqual({
      status: 200,
      json: [{ name: 'note.txt', mimeType: 'text/plain', size: 20, content: 'Attached.\nTwo lines.' }],
    });
    const file = `get-upload-file?chatflowId=${CHAIN_FLOW.id}&chatId=c&fileName=`;
    expect(await get(`${file}note.txt`)).toMatchObject({ status: 200, text: 'Attached.\nTwo lines.' });
    expect(await get(`${file}other.txt`)).toMatchObject({ status: 500 });
  });

  const { id } = CHAIN_FLOW;
  it.each([
    { why: 'a flow without file settings', flowId: AGENT_FLOW.id, reason: 'File upload is not enabled' },
    {
      why: 'a type that is not allowed',
      flowId: id,
      type: 'image/png',
      reason: "File type 'image/png' is not allowed",
    },
    { why: 'an unknown flow', flowId: UNKNOWN, reason: 'not found' },
    { why: 'a path in the chatId', flowId: id, chatId: '..%2Fup', reason: 'Invalid path characters' },
  ])('are refused with 500 for $why', async ({ flowId, chatId = 'c', type, reason }) => {
    expect(await attach(flowId, chatId, type)).toMatchObject({
      status: 500,
      json: { message: expect.stringContaining(reason) },
    });
  });
});

describe('feedback and leads', () => {
  it('are taken without a key and kept', async () => {
    const feedback = { chatflowid: CHAIN_FLOW.id, chatId: 'c', messageId: 'm', rating: 'THUMBS_UP', content: 'fine' };
    const answer = await post(`${fake.url}/api/v1/feedback/${CHAIN_FLOW.id}`, feedback).then((res) => res.body.json());
    expect(answer).toMatchObject({ ...feedback, id: expect.any(String) });
    expect((await get(`feedback/${CHAIN_FLOW.id}`)).json).toEqual([answer]);
    const lead = { chatflowid: CHAIN_FLOW.id, chatId: 'c', name: 'alice', email: 'alice@example.test' };
    await post(`${fake.url}/api/v1/leads/`, lead).then((res) => res.body.dump());
    expect(fake.leads).toMatchObject([lead]);
  });
});
