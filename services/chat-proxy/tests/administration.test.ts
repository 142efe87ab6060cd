import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CHAIN_FLOW, FLOWISE_SECRETS, newUserId } from '@tollgate/test-kit';
import { request } from 'undici';
import { type Proxy, startProxy } from './fixtures/proxy.ts';

let proxy: Proxy;
beforeAll(async () => {
  proxy = await startProxy();
});
afterAll(() => proxy.stop());

const ADMIN = '/api/v1/admin/chatflows';

describe('the list of chatflows', () => {
  it('holds flows and models, and nothing secret of either', async () => {
    const { body } = await proxy.admin.call<{ flowise_id: string; upstream: string; flow_data: unknown }[]>(
      'GET',
      ADMIN,
    );
    expect(body.map(({ flowise_id }) => flowise_id).toSorted()).toEqual(
      [proxy.flowise.chain.id, proxy.flowise.agentflow.id, 'model:priced'].toSorted(),
    );
    const text = JSON.stringify(body);
    for (const secret of Object.values(FLOWISE_SECRETS)) expect(text).not.toContain(secret);
    expect(body.every(({ flow_data }) => flow_data === null)).toBe(true);
    const { body: config } = await proxy.admin.call('GET', `/api/v1/chatflows/${proxy.flowise.chain.id}/config`);
    expect(config).toMatchObject({
      welcomeMessage: expect.any(String),
      starterPrompts: ['What is a hold on credits?'],
    });
  });

  it('is not emptied by an upstream that lists nothing, unless that is meant', async () => {
    const flows = proxy.flowise.flows();
    proxy.flowise.setFlows([]);
    const refused = await proxy.admin.call('POST', `${ADMIN}/sync`);
    expect([refused.status, refused.body.code]).toEqual([422, 'sync_refused']);
    expect((await proxy.admin.call('GET', `${ADMIN}/stats`)).body).toMatchObject({ active: 3, deleted: 0 });
    const meant = await proxy.admin.call('POST', `${ADMIN}/sync?allow_mass_deletion=true`);
    expect(meant.body).toMatchObject({ total_fetched: 1, deleted: 2 });
    proxy.flowise.setFlows(flows);
    expect((await proxy.admin.call('POST', `${ADMIN}/sync`)).body).toMatchObject({
      total_fetched: 3,
      updated: 2,
      deleted: 0,
    });
  });

  it('follows a flow that was renamed, and keeps what an administrator has set', async () => {
    await proxy.admin.call('PATCH', `${ADMIN}/${CHAIN_FLOW.id}`, { allowed_overrides: ['temperature'] });
    proxy.flowise.setFlows([{ ...proxy.flowise.chain, name: 'Renamed' }, proxy.flowise.agentflow]);
    await proxy.admin.call('POST', `${ADMIN}/sync`);
    const { body } = await proxy.admin.call('GET', `${ADMIN}/${CHAIN_FLOW.id}`);
    expect(body).toMatchObject({ name: 'Renamed', allowed_overrides: ['temperature'], is_public: true });
  });

  it('never lets a chatflow allow what the platform sets itself', async () => {
    const { status } = await proxy.admin.call('PATCH', `${ADMIN}/${CHAIN_FLOW.id}`, {
      allowed_overrides: ['sessionId'],
    });
    expect(status).toBe(400);
  });
});

describe('an assignment', () => {
  const MODEL = 'model:priced';

  it('is found by e-mail address at auth, and can be taken back', async () => {
    await proxy.admin.call('PATCH', `${ADMIN}/${MODEL}`, { is_public: false });
    const alice = await proxy.person();
    proxy.auth.add(alice.userId, 'alice');
    const path = `${ADMIN}/${encodeURIComponent(MODEL)}/users`;
    const email = 'alice@example.test';
    expect((await alice.call('GET', `/api/v1/chatflows/${MODEL}`)).status).toBe(404);
    expect((await proxy.admin.call('POST', path, { email })).body).toMatchObject({ email, status: 'Assigned' });
    expect((await proxy.admin.call('POST', path, { email })).body).toMatchObject({ status: 'No Action' });
    expect((await proxy.admin.call('POST', path, { email: 'nobody@example.test' })).status).toBe(404);
    expect((await proxy.admin.call('POST', `${ADMIN}/nowhere/users`, { email })).status).toBe(404);
    expect((await proxy.admin.call('GET', path)).body).toMatchObject([
      { username: 'alice', external_user_id: alice.userId },
    ]);
    expect((await alice.call('GET', '/api/v1/chat/my-assigned-chatflows')).body).toEqual({
      assigned_chatflow_ids: [MODEL],
      count: 1,
    });
    expect((await alice.call('GET', '/api/v1/chatflows/my-chatflows')).body).toMatchObject([
      { id: MODEL, type: 'MODEL' },
    ]);
    for (const list of ['/api/v1/chatflows', '/api/v1/chatflows/'])
      expect(JSON.stringify((await alice.call('GET', list)).body)).toContain(MODEL);
    expect((await proxy.admin.call('DELETE', `${path}?email=${encodeURIComponent(email)}`)).body).toMatchObject({
      status: 'Deactivated',
    });
    expect((await proxy.admin.call('DELETE', path, { email })).status).toBe(404);
    expect((await proxy.admin.call('DELETE', path)).status).toBe(400);
    expect((await proxy.admin.call('POST', path, { email })).body).toMatchObject({ status: 'Reactivated' });
  });

  it('of many says for each what became of it', async () => {
    proxy.auth.add(newUserId(), 'bob');
    const emails = ['bob@example.test', 'nobody@example.test', 'no address'];
    for (const [path, body] of [
      [`${ADMIN}/${CHAIN_FLOW.id}/users/bulk-add`, { emails }],
      [`${ADMIN}/add-users-by-email`, { chatflow_id: CHAIN_FLOW.id, emails }],
    ] as const) {
      const { status, body: result } = await proxy.admin.call('POST', path, body);
      expect([status, result]).toMatchObject([
        200,
        {
          successful_assignments: [{ email: 'bob@example.test' }],
          failed_assignments: [
            { email: 'nobody@example.test', reason: 'User not found' },
            { email: 'no address', reason: 'is no e-mail address' },
          ],
        },
      ]);
    }
    const synced = await proxy.admin.call('POST', '/api/v1/admin/users/sync-by-email', { email: 'bob@example.test' });
    expect(synced.body).toMatchObject({ status: 'success', user_details: { username: 'bob' } });
  });
});

describe('the login façade', () => {
  const post = async (path: string, body: object, token?: string) => {
    const response = await request(proxy.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    return { status: response.statusCode, text: await response.body.text() };
  };

  it('answers with its keys in the order old clients rely on, and drops what else they send', async () => {
    const { status, text } = await post('/api/v1/chat/authenticate', {
      username: 'alice',
      password: 'right',
      role: 'admin',
    });
    expect([status, Object.keys(JSON.parse(text))]).toEqual([
      200,
      ['access_token', 'refresh_token', 'token_type', 'user', 'message', 'accessToken', 'refreshToken'],
    ]);
  });

  it('passes refusals on in the words clients know', async () => {
    const wrong = await post('/api/v1/chat/authenticate', { username: 'alice', password: 'wrong' });
    expect([wrong.status, JSON.parse(wrong.text).detail]).toEqual([401, 'Invalid credentials']);
    const stale = await post('/api/v1/chat/refresh', { refresh_token: 'stale' });
    expect([stale.status, JSON.parse(stale.text).detail]).toEqual([401, 'Invalid or expired refresh token']);
    const fresh = await post('/api/v1/chat/refresh', { refresh_token: 'refresh' });
    expect(JSON.parse(fresh.text)).toEqual({
      access_token: 'access-2',
      refresh_token: 'refresh-2',
      token_type: 'bearer',
    });
  });

  it('ends the caller’s sessions at auth, and nobody else’s', async () => {
    const alice = await proxy.person();
    expect((await alice.call('POST', '/api/v1/chat/revoke', { token_id: 'somebody-else' })).status).toBe(404);
    expect(proxy.auth.ended).not.toContain(alice.userId);
    expect((await alice.call('POST', '/api/v1/chat/revoke', { all_tokens: true })).body).toMatchObject({
      revoked_tokens: 1,
    });
    expect(proxy.auth.ended).toContain(alice.userId);
    expect((await alice.call('GET', '/api/v1/chat/get_current_user')).body).toMatchObject({
      id: alice.userId,
      role: 'enduser',
    });
  });
});

describe('the service', () => {
  it('says that it runs, is ready, describes itself and counts', async () => {
    const get = async (path: string) => {
      const response = await request(proxy.url + path);
      return { status: response.statusCode, text: await response.body.text() };
    };
    expect(JSON.parse((await get('/')).text)).toMatchObject({ status: 'running' });
    expect(await get('/health/ready')).toMatchObject({ status: 200 });
    expect(JSON.parse((await get('/openapi.json')).text).paths['/api/v1/chat/predict']).toBeDefined();
    const { text } = await get('/metrics');
    for (const name of [
      'streams_running',
      'leftover_holds',
      'settle_lag_seconds',
      'unsaved_messages',
      'hold_closed_total',
    ])
      expect(text).toContain(`tollgate_${name}`);
  });
});
