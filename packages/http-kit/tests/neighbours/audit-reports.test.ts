import { describe, expect, it, afterAll } from '@jest/globals';
import { auth as operations, type auth, operation, UserId } from '@tollgate/contracts';
import { request } from 'undici';
import { z } from 'zod';
import {
  AppError,
  createAuditReports,
  createAuthenticator,
  type Refusal,
  serve,
  unavailable,
} from '../../src/index.ts';
import { ADAPTERS, alice, authenticate, bearer, serviceToken, start, stopAll, userToken } from '../kit.ts';

afterAll(stopAll);

const forStaff = operation({
  id: 'readSecretThings',
  method: 'GET',
  path: '/api/secret/:name',
  summary: 'For administrators',
  permission: 'users:read',
  params: z.strictObject({ name: z.string().max(200) }),
  result: z.object({}),
});
const forAll = operation({ ...forStaff, id: 'readThings', path: '/api/things/:name', permission: 'profile:own' });

describe.each(ADAPTERS)('%s', (_name, adapter) => {
  async function serving(auth = authenticate) {
    const refusals: Refusal[] = [];
    const service = await start(adapter, {
      authenticate: auth,
      refused: (refusal) => refusals.push(refusal),
      routes: [
        serve(forStaff).with(() => ({})),
        serve(forAll).with(({ params }) => {
          throw new AppError(params.name as 'FORBIDDEN');
        }),
      ],
    });
    const get = async (path: string, headers: Record<string, string>) =>
      (await request(service.url + path, { headers })).statusCode;
    return { refusals, get };
  }

  it('tells who was refused which operation, by the names of our own', async () => {
    const { refusals, get } = await serving();
    const headers = { ...bearer(userToken()), 'user-agent': 'x', 'x-request-id': 'request-1' };
    expect(await get('/api/secret/a%0d%0ab%1b[31m', headers)).toBe(403);
    expect(await get('/api/things/CHATFLOW_ACCESS_DENIED', headers)).toBe(403);
    expect(await get('/api/secret/x', bearer(serviceToken()))).toBe(403);
    const common = { userId: alice, requestId: 'request-1', userAgent: 'x' };
    expect(refusals).toMatchObject([
      { ...common, code: 'FORBIDDEN', operation: 'readSecretThings' },
      { ...common, code: 'CHATFLOW_ACCESS_DENIED', operation: 'readThings' },
      { code: 'FORBIDDEN', operation: 'readSecretThings', service: 'chat-proxy' },
    ]);
    expect(JSON.stringify(refusals)).not.toContain('31m');
  });

  it('tells of a valid token whose user is let in no more, and of no token that proves nobody', async () => {
    const over = async (...input: Parameters<typeof authenticate>) => {
      await authenticate(...input);
      throw new AppError('INVALID_TOKEN');
    };
    const ended = await serving(over);
    expect(await ended.get('/api/things/x', bearer(userToken()))).toBe(401);
    expect(ended.refusals).toMatchObject([{ code: 'INVALID_TOKEN', userId: alice }]);

    const revoked = await serving(
      createAuthenticator({
        verifyAccess: () => Promise.reject(Object.assign(new Error('revoked'), { proven: { sub: alice, wid: 'w-1' } })),
      }),
    );
    expect(await revoked.get('/api/things/x', bearer(userToken()))).toBe(401);
    expect(revoked.refusals).toMatchObject([{ code: 'INVALID_TOKEN', userId: alice, workspaceId: 'w-1' }]);

    const { refusals, get } = await serving();
    expect(await get('/api/secret/x', {})).toBe(401);
    expect(await get('/api/secret/x', bearer(`${userToken()}forged`))).toBe(401);
    expect(await get('/api/things/STEP_UP_REQUIRED', bearer(userToken()))).toBe(403);
    expect(await get('/api/things/NOT_FOUND', bearer(userToken()))).toBe(404);
    expect(refusals).toEqual([]);
  });
});

describe('reports for the audit log', () => {
  const refusal = (operationId = 'readThings', userId = alice): Refusal => ({
    code: 'FORBIDDEN',
    operation: operationId,
    userId,
    requestId: 'request-1',
    ip: '203.0.113.1',
    userAgent: 'x',
  });

  function reporting(send: (batch: readonly auth.AuditReport[]) => Promise<void>) {
    let dropped = 0;
    const reports = createAuditReports({
      send,
      dropped: (count) => {
        dropped += count;
      },
      failed: () => {},
      everyMs: 5,
    });
    return { reports, dropped: () => dropped };
  }

  it('say once what was said often, and are the same when they are sent again', async () => {
    const batches: (readonly auth.AuditReport[])[] = [];
    const heard = Promise.withResolvers<void>();
    const { reports } = reporting(async (batch) => {
      batches.push(batch);
      if (batches.length === 1) throw unavailable('DEPENDENCY_UNAVAILABLE', 1);
      heard.resolve();
    });
    for (let n = 0; n < 7; n += 1) reports.refused(refusal());
    reports.refused(refusal('readOthers'));
    reports.start();
    await heard.promise;
    await reports.close();
    expect(batches[0]).toMatchObject([
      { action: 'access.refused', actorId: alice, facts: { code: 'forbidden', operation: 'readThings', count: 7 } },
      { facts: { operation: 'readOthers', count: 1 } },
    ]);
    expect(batches[1]).toEqual(batches[0]);
  });

  it('wait up to a thousand while auth is away, and the others are dropped and counted', async () => {
    const sent: auth.AuditReport[] = [];
    const { reports, dropped } = reporting(async (batch) => void sent.push(...batch));
    for (let n = 0; n < 1200; n += 1) reports.refused(refusal(`operation${n}`));
    expect(dropped()).toBe(200);
    await reports.close();
    expect(sent).toHaveLength(1000);
    expect(new Set(sent.map(({ eventId }) => eventId)).size).toBe(1000);
  });

  it('are given up when auth refuses them, so that they do not stop those that follow', async () => {
    const sent: auth.AuditReport[] = [];
    const { reports, dropped } = reporting(async (batch) => {
      if (batch.some(({ action }) => action === 'credits.adjusted')) throw new AppError('FORBIDDEN');
      sent.push(...batch);
    });
    const actorId = UserId.parse(alice);
    reports.add({ action: 'credits.adjusted', actorId, targetId: alice, facts: { operation: 'adjusted', credits: 1 } });
    await reports.close();
    reports.refused(refusal());
    await reports.close();
    expect([dropped(), sent.length]).toEqual([1, 1]);
  });

  it('are kept when auth has too much to do, and never say a number that it would refuse', async () => {
    const sent: auth.AuditReport[] = [];
    let calls = 0;
    const { reports, dropped } = reporting(async (batch) => {
      calls += 1;
      if (calls === 1) throw new AppError('RATE_LIMITED');
      sent.push(...batch);
    });
    for (let n = 0; n < 1_000_001; n += 1) reports.refused(refusal());
    reports.start();
    while (sent.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await reports.close();
    expect([dropped(), sent.length]).toEqual([0, 1]);
    expect(operations.reportAudit.body?.safeParse({ reports: sent }).success).toBe(true);
    expect(sent).toMatchObject([{ facts: { count: 1_000_000 } }]);
  });
});
