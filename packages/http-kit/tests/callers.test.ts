import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AppError, type Caller, createAuthenticator, serve } from '../src/index.ts';
import {
  ADAPTERS,
  alice,
  authenticate,
  bearer,
  bob,
  call,
  type Running,
  serviceToken,
  start,
  stopAll,
  token,
  userToken,
  wire,
} from './kit.ts';
import { echo, makeThing, payThing, ping, readThing, replaceThing } from './operations.ts';

afterAll(stopAll);

const origin = 'https://app.example.test';

describe.each(ADAPTERS)('%s callers', (_name, adapter) => {
  let service: Running;
  let seen: Caller | undefined;
  const body = { name: 'lamp' };

  beforeAll(async () => {
    service = await start(adapter, {
      routes: [
        serve(makeThing).with(async (_input, caller) => {
          seen = caller;
          return { id: caller.userId, name: caller.username };
        }),
        serve(readThing).with(async (_input, caller) => ({ id: caller.userId, name: caller.username })),
        serve(replaceThing).with(async (_input, caller) => ({ id: caller.userId, name: caller.role })),
        serve(payThing).with(async (_input, caller, { idempotencyKey = '' }) => {
          seen = caller;
          return { payer: caller.onBehalfOf?.userId ?? 'nobody', service: caller.service, key: idempotencyKey };
        }),
        serve(ping).with(async () => ({ pong: 'pong' })),
        serve(echo).with(async (_input, caller) => ({ sent: caller === undefined })),
      ],
    });
  });

  const pay = (headers: Record<string, string>) =>
    call(service, 'POST /api/payments', { headers: { 'idempotency-key': 'k1', ...headers }, body: { amount: 1 } });

  it('are users with what their token says', async () => {
    const value = token({
      type: 'access',
      sub: alice,
      role: 'admin',
      username: 'alice',
      email: 'a@example.test',
      iat: 1,
      exp: 2,
      jti: 'j',
      sid: 's',
      wid: 'w',
    });
    expect((await call(service, 'POST /api/things', { headers: bearer(value), body })).status).toBe(201);
    expect(seen).toEqual({
      kind: 'user',
      userId: alice,
      username: 'alice',
      email: 'a@example.test',
      role: 'admin',
      workspaceId: 'w',
      sessionId: 's',
      tokenId: 'j',
      token: value,
      issuedAt: 1000,
      expiresAt: 2000,
    });
  });

  it('without a credential get 401 with a challenge', async () => {
    const answer = await call(service, 'POST /api/things', { body });
    expect(answer.json).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  it.each([
    ['forged', bearer(token({ type: 'access', sub: alice, role: 'admin' }, 'bad'))],
    ['not a token', bearer('abc')],
    ['of another scheme', { authorization: 'Basic YTpi' }],
    ['empty', { authorization: '' }],
    ['with a space', { authorization: `Bearer  ${userToken()}` }],
    ['twice in one header', { authorization: `Bearer ${userToken()}, Bearer ${userToken()}` }],
    ['too long', bearer(`${'a'.repeat(8193)}`)],
    ['for no possible user', bearer(userToken('enduser', 'not-an-id'))],
    ['for an operator as user', bearer(token({ type: 'access', sub: { $gt: '' }, role: 'admin', iat: 1, exp: 2 }))],
    ['of no kind', bearer(token({ sub: alice, role: 'admin' }))],
  ])('with a bearer that is %s get 401, whatever cookie they also send', async (_what, headers) => {
    const answer = await call(service, 'POST /api/things', {
      headers: { ...headers, cookie: `accessToken=${userToken()}`, origin },
      body,
    });
    expect(answer.json).toMatchObject({ status: 401, code: 'invalid_token' });
    expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  it('are refused before their body is read', async () => {
    const { until, socket } = wire(
      service.port,
      'POST /api/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n',
    );
    expect(await until('"code":"unauthenticated"')).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
  });

  it('are refused for who they are before for what they send', async () => {
    const wrong = { 'content-type': 'text/plain' };
    expect((await call(service, 'POST /api/things', { headers: wrong, body: '{' })).status).toBe(401);
    expect(
      (
        await call(service, `PUT /api/things/not-an-id`, {
          headers: { ...wrong, ...bearer(userToken('supervisor')) },
          body: '{',
        })
      ).status,
    ).toBe(403);
    expect((await call(service, 'POST /api/payments', { headers: bearer(userToken('admin')), body: '{' })).status).toBe(
      403,
    );
  });

  it('need the role of the operation', async () => {
    const replace = (headers: Record<string, string>) => call(service, `PUT /api/things/${alice}`, { headers, body });
    expect((await replace(bearer(userToken('admin')))).json).toEqual({ id: alice, name: 'admin' });
    for (const role of ['enduser', 'supervisor'] as const)
      expect((await replace(bearer(userToken(role)))).json).toMatchObject({ status: 403, code: 'forbidden' });
  });

  it('of one kind may not do what the other kind may', async () => {
    expect((await pay(bearer(userToken('admin')))).json).toMatchObject({ status: 403, code: 'service_token_required' });
    expect((await pay({})).status).toBe(401);
    const asUser = await call(service, 'POST /api/things', { headers: bearer(serviceToken()), body });
    expect(asUser.json).toMatchObject({ status: 403, code: 'forbidden' });
  });

  it('that are services act for a user by id, by token, or for nobody', async () => {
    const headers = bearer(serviceToken());
    expect((await pay(headers)).json).toEqual({ payer: 'nobody', service: 'chat-proxy', key: 'k1' });
    expect((await pay({ ...headers, 'x-on-behalf-of': alice })).json['payer']).toBe(alice);
    expect(seen).toEqual({ kind: 'service', service: 'chat-proxy', onBehalfOf: { userId: alice } });
    for (const prefix of ['', 'Bearer ', 'bearer ']) {
      const value = userToken('supervisor', bob);
      expect((await pay({ ...headers, 'x-on-behalf-of': prefix + value })).json['payer']).toBe(bob);
      expect(seen).toMatchObject({
        onBehalfOf: { userId: bob, user: { kind: 'user', userId: bob, role: 'supervisor', token: value } },
      });
    }
  });

  it('that are services get 401 when the user they name is not proven', async () => {
    for (const other of [
      '',
      'alice',
      alice.toUpperCase(),
      `${alice}, ${bob}`,
      `Bearer ${serviceToken()}`,
      `Bearer ${token({ type: 'access', sub: bob }, 'bad')}`,
    ])
      expect((await pay({ ...bearer(serviceToken()), 'x-on-behalf-of': other })).json).toMatchObject({
        status: 401,
        code: 'invalid_token',
      });
  });

  it('that are services are told when it is their own token that is refused, and not their user’s', async () => {
    const challengeOf = async (ours: string, user: string) =>
      (await pay({ ...bearer(ours), 'x-on-behalf-of': `Bearer ${user}` })).headers['www-authenticate'];
    const badService = token({ type: 'service', sub: 'chat-proxy' }, 'bad');
    expect(await challengeOf(badService, userToken())).toBe('Bearer realm="service", error="invalid_token"');
    const badUser = token({ type: 'access', sub: bob }, 'bad');
    expect(await challengeOf(serviceToken(), badUser)).toBe('Bearer error="invalid_token"');
  });

  it('that are users gain nothing by naming another user', async () => {
    const answer = await call(service, 'POST /api/things', {
      headers: { ...bearer(userToken()), 'x-on-behalf-of': bob },
      body,
    });
    expect(answer.json['id']).toBe(alice);
  });

  it('with a cookie change something only from an allowed page', async () => {
    const cookie = `theme=dark; accessToken=${userToken()}`;
    const post = (headers: Record<string, string>) =>
      call(service, 'POST /api/things', { headers: { cookie, ...headers }, body });
    expect((await post({ origin })).status).toBe(201);
    for (const other of [
      {},
      { origin: 'null' },
      { origin: 'https://evil.test' },
      { origin: `${origin}.evil.test` },
      { referer: `${origin}/` },
    ])
      expect((await post(other as Record<string, string>)).json).toMatchObject({ status: 403, code: 'csrf_rejected' });
    expect((await call(service, `GET /api/things/${alice}`, { headers: { cookie } })).status).toBe(200);
    expect(
      (await call(service, `GET /api/things/${alice}`, { headers: { cookie: 'accessToken=bad' } })).json['code'],
    ).toBe('invalid_token');
    expect((await post({ ...bearer(userToken('enduser', bob)) })).json['id']).toBe(bob);
  });

  it('of public operations need nothing and are not asked', async () => {
    expect((await call(service, 'GET /api/ping', { headers: { authorization: 'Bearer expired' } })).status).toBe(200);
    expect((await call(service, 'POST /api/echo', { headers: { cookie: 'accessToken=bad' }, body: 1 })).json).toEqual({
      sent: true,
    });
  });
});

describe('An authenticator', () => {
  const request = (authorization: string) => ({ method: 'GET', headers: { authorization } });

  it('that accepts neither services nor cookies knows users only', async () => {
    const users = createAuthenticator({
      verifyAccess: (value) =>
        value === userToken()
          ? Promise.resolve({ sub: alice, role: 'enduser', iat: 1, exp: 2 })
          : Promise.reject(new Error('no')),
    });
    await expect(users(request(`Bearer ${serviceToken()}`))).rejects.toMatchObject({ code: 'INVALID_TOKEN' });
    await expect(users({ method: 'GET', headers: { cookie: `accessToken=${userToken()}` } })).resolves.toBeUndefined();
    await expect(users(request(`Bearer ${userToken()}`))).resolves.toMatchObject({
      userId: alice,
      username: '',
      email: '',
    });
  });

  it('passes on that a verifier could not decide, instead of calling the token bad', async () => {
    const down = createAuthenticator({ verifyAccess: () => Promise.reject(new AppError('DEPENDENCY_UNAVAILABLE')) });
    await expect(down(request(`Bearer ${userToken()}`))).rejects.toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
  });

  it('keeps the cause of a refusal for the log and out of the answer', async () => {
    const refused = authenticate(request('Bearer a.b.c')).catch((error: unknown) => error);
    await expect(refused).resolves.toMatchObject({
      code: 'INVALID_TOKEN',
      detail: undefined,
      cause: expect.any(Error),
    });
  });
});
