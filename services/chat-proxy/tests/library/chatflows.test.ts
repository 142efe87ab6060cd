import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CHAIN_FLOW, FLOWISE_SECRETS, startChat } from '@tollgate/test-kit';
import { request } from 'undici';
import { askOf, STORE } from '../fixtures/asking.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';

let proxy: Proxy;
const MODEL = 'model:priced';
const ADMIN = '/api/v1/admin/chatflows';
const PATH = `${ADMIN}/${encodeURIComponent(MODEL)}`;
const workspaceId = 'w-orchard';

beforeAll(async () => {
  proxy = await startProxy();
  proxy.auth.workspaces.add(workspaceId);
  await proxy.admin.call('PATCH', PATH, { is_public: false });
});
afterAll(() => proxy.stop());

const mayUse = async (person: Person): Promise<boolean> =>
  (await person.call('GET', `/api/v1/chatflows/${MODEL}`)).status === 200;

describe('a chatflow of a workspace', () => {
  it('is for every member, while they work there, until it is taken away', async () => {
    const member = await proxy.person({ workspaceId });
    const elsewhere = await proxy.person({ userId: member.userId });
    expect(await Promise.all([mayUse(member), mayUse(elsewhere)])).toEqual([false, false]);
    const given = await proxy.admin.call('POST', `${PATH}/workspaces`, { workspace_id: workspaceId });
    expect(given.body).toMatchObject({ workspace_id: workspaceId, status: 'Assigned' });
    expect(await Promise.all([mayUse(member), mayUse(elsewhere)])).toEqual([true, false]);
    const call = await (await startChat(proxy.url + STORE, member.token, askOf('Hi', MODEL))).toEnd();
    expect(call.events.at(-1)).toMatchObject({ event: 'end' });
    expect((await elsewhere.call('POST', STORE, askOf('Hi', MODEL))).body.code).toBe('chatflow_access_denied');
    expect(JSON.stringify((await member.call('GET', '/api/v1/chatflows')).body)).toContain(MODEL);
    expect((await member.call('GET', '/api/v1/chat/my-assigned-chatflows')).body).toMatchObject({ count: 1 });
    expect((await elsewhere.call('GET', '/api/v1/chat/my-assigned-chatflows')).body).toMatchObject({ count: 0 });
    expect((await proxy.admin.call('GET', `${PATH}/workspaces`)).body).toEqual([
      { workspace_id: workspaceId, assigned_at: expect.any(String) },
    ]);
    const taken = await proxy.admin.call('DELETE', `${PATH}/workspaces?workspace_id=${workspaceId}`);
    expect(taken.body).toMatchObject({ status: 'Deactivated' });
    expect((await proxy.admin.call('DELETE', `${PATH}/workspaces`, { workspace_id: workspaceId })).status).toBe(404);
    expect(await mayUse(member)).toBe(false);
    expect((await member.call('POST', STORE, askOf('Hi', MODEL))).body.code).toBe('chatflow_access_denied');
  });

  it('needs a chatflow and a workspace that exist, and a name for the latter', async () => {
    const path = `${PATH}/workspaces`;
    expect((await proxy.admin.call('POST', path, { workspace_id: 'nowhere' })).status).toBe(404);
    expect((await proxy.admin.call('POST', `${ADMIN}/nowhere/workspaces`, { workspace_id: workspaceId })).status).toBe(
      404,
    );
    expect((await proxy.admin.call('GET', `${ADMIN}/nowhere/workspaces`)).status).toBe(404);
    expect((await proxy.admin.call('POST', path, { workspace_id: { $ne: '' } })).status).toBe(400);
    expect((await proxy.admin.call('DELETE', path)).status).toBe(400);
  });

  it('is in the end given or not, whatever fifty administrators do at once', async () => {
    const path = `${PATH}/workspaces`;
    const body = { workspace_id: workspaceId };
    const statuses = await Promise.all(
      Array.from({ length: 50 }, async (_, n) =>
        n % 2 === 0
          ? (await proxy.admin.call<{ status: string }>('POST', path, body)).body.status
          : (await proxy.admin.call<{ status: string | number }>('DELETE', path, body)).body.status,
      ),
    );
    const given = statuses.filter((status) => status === 'Assigned' || status === 'Reactivated').length;
    const taken = statuses.filter((status) => status === 'Deactivated').length;
    const rows = await proxy.db.collection('chatflow_workspaces').find({ workspace_id: workspaceId }).toArray();
    expect(rows).toHaveLength(1);
    expect(given - taken).toBe(rows[0]?.['active'] ? 1 : 0);
    expect(statuses.filter((status) => typeof status === 'number' && status !== 404)).toEqual([]);
  });

  it('keeps what administrators of the installation decide for a workspace', async () => {
    const path = `/api/v1/admin/workspaces/${workspaceId}/chat-settings`;
    expect((await proxy.admin.call('GET', path)).body).toEqual({
      workspace_id: workspaceId,
      store: 'all',
      retention_days: null,
    });
    const settings = { store: 'all', retention_days: 30 };
    expect((await proxy.admin.call('PUT', path, settings)).body).toEqual({ workspace_id: workspaceId, ...settings });
    expect((await proxy.admin.call('GET', path)).body).toMatchObject(settings);
    for (const bad of [
      {},
      { store: 'some', retention_days: 1 },
      { store: 'all', retention_days: 0 },
      { ...settings, x: 1 },
    ])
      expect((await proxy.admin.call('PUT', path, bad)).status).toBe(400);
    expect((await proxy.admin.call('PUT', path.replace(workspaceId, 'nowhere'), settings)).status).toBe(404);
    expect((await proxy.admin.call('GET', path)).body).toMatchObject(settings);
  });
});

describe('a chatflow', () => {
  const settings = {
    allowed_origins: ['https://chat.example.org', 'http://localhost:5173'],
    requests_per_minute: 60,
    parallel_answers: 3,
    uploads: { images: true },
    retention_days: 7,
  };
  const chain = `${ADMIN}/${CHAIN_FLOW.id}`;

  it('keeps the settings of administrators through a synchronisation, and shows what they come to', async () => {
    const { body } = await proxy.admin.call('PATCH', chain, {
      ...settings,
      allowed_origins: ['HTTPS://chat.example.org', 'http://localhost:5173'],
    });
    expect(body).toMatchObject({
      ...settings,
      uploads: { images: true, files: true, audio: false },
      uploads_override: { images: true },
      store: 'all',
    });
    proxy.flowise.setFlows([{ ...proxy.flowise.chain, name: 'Renamed' }, proxy.flowise.agentflow]);
    await proxy.admin.call('POST', `${ADMIN}/sync`);
    expect((await proxy.admin.call('GET', chain)).body).toMatchObject({
      name: 'Renamed',
      requests_per_minute: 60,
      retention_days: 7,
    });
    expect((await proxy.admin.call('GET', `/api/v1/chatflows/${CHAIN_FLOW.id}/config`)).body).toMatchObject({
      uploads: { images: true, files: true, audio: false },
    });
    await proxy.admin.call('PATCH', chain, { uploads: {}, requests_per_minute: null, parallel_answers: null });
    expect((await proxy.admin.call('GET', chain)).body).toMatchObject({
      uploads: { images: false, files: true, audio: false },
      requests_per_minute: null,
    });
  });

  it.each([
    { allowed_origins: ['*'] },
    { allowed_origins: ['https://chat.example.org/path'] },
    { allowed_origins: ['null'] },
    { allowed_origins: Array.from({ length: 51 }, (_, n) => `https://h${n}.example.org`) },
    { requests_per_minute: 0 },
    { parallel_answers: 1.5 },
    { retention_days: -1 },
    { store: 'some' },
    { uploads: { video: true } },
    { uploads: { images: 'yes' } },
  ])('refuses %j and stays as it was', async (body) => {
    const before = (await proxy.admin.call('GET', chain)).body;
    expect((await proxy.admin.call('PATCH', chain, body)).status).toBe(400);
    expect((await proxy.admin.call('GET', chain)).body).toEqual(before);
  });

  it('answers no page that is not on its list, and costs it nothing', async () => {
    const alice = await proxy.person();
    await proxy.admin.call('PATCH', chain, settings);
    const from = async (method: 'GET' | 'POST', path: string, origin?: string) => {
      const response = await request(proxy.url + path, {
        method,
        headers: {
          authorization: `Bearer ${alice.token}`,
          'content-type': 'application/json',
          ...(origin !== undefined && { origin }),
        },
        ...(method === 'POST' && { body: JSON.stringify(askOf('Hi', CHAIN_FLOW.id)) }),
      });
      const text = await response.body.text();
      return response.statusCode === 403 ? (JSON.parse(text) as { code: string }).code : response.statusCode;
    };
    const calls = proxy.flowise.calls();
    for (const origin of [
      'https://evil.example',
      'null',
      'https://chat.example.org.evil.example',
      'http://chat.example.org',
    ]) {
      for (const path of [STORE, '/api/v1/chat/predict'])
        expect(await from('POST', path, origin)).toBe('origin_not_allowed');
      expect(await from('GET', `/api/v1/chatflows/${CHAIN_FLOW.id}/config`, origin)).toBe('origin_not_allowed');
    }
    expect([proxy.flowise.calls(), proxy.accounting.balanceOf(alice.userId)]).toEqual([calls, 1000]);
    for (const origin of ['https://chat.example.org', undefined])
      expect(await from('POST', '/api/v1/chat/predict', origin)).toBe(200);
    await proxy.admin.call('PATCH', chain, { allowed_origins: [] });
    expect(await from('POST', '/api/v1/chat/predict', 'https://evil.example')).toBe(200);
  });

  it('is kept without anything of it that is secret', async () => {
    const rows = JSON.stringify(await proxy.db.collection('chatflows').find().toArray());
    for (const secret of Object.values(FLOWISE_SECRETS)) expect(rows).not.toContain(secret);
    expect(rows).not.toContain('flowData');
    expect(rows).not.toContain('nodes');
  });

  it('is shown in the same order and with the same keys as ever', async () => {
    const { body } = await proxy.admin.call<Record<string, unknown>[]>('GET', ADMIN);
    const names = body.map(({ name }) => String(name));
    expect(names).toEqual(names.toSorted());
    const expected =
      '_id,flowise_id,name,description,deployed,is_public,category,type,api_key_id,flow_data,chatbot_config,api_config,analytic_config,speech_to_text_config,created_date,updated_date,synced_at,sync_status,sync_error';
    for (const row of body) expect(Object.keys(row).slice(0, 19).join(',')).toBe(expected);
  });
});

describe('an assignment', () => {
  it('is one, whatever fifty administrators do at once', async () => {
    const bob = await proxy.person();
    const { email } = proxy.auth.add(bob.userId, `bob-${randomUUID()}`);
    const statuses = await Promise.all(
      Array.from({ length: 50 }, async (_, n) =>
        n % 2 === 0
          ? (await proxy.admin.call<{ status: string }>('POST', `${PATH}/users`, { email })).body.status
          : (await proxy.admin.call<{ status: string }>('DELETE', `${PATH}/users`, { email })).body.status,
      ),
    );
    const given = statuses.filter((status) => status === 'Assigned' || status === 'Reactivated').length;
    const taken = statuses.filter((status) => status === 'Deactivated').length;
    const rows = await proxy.db.collection('chatflow_assignments').find({ user_id: bob.userId }).toArray();
    expect(rows).toHaveLength(1);
    expect(given - taken).toBe(rows[0]?.['active'] ? 1 : 0);
    await until(async () => (await mayUse(bob)) === rows[0]?.['active']);
  });
});
