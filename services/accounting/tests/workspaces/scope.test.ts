import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

let accounting: Accounting;
beforeAll(async () => {
  accounting = await Accounting.start();
});
afterAll(() => accounting.stop());

const OURS = 'w-ours';
const THEIRS = 'w-theirs';

const members = async (workspaceId: string, people: readonly User[], role: string | null = 'enduser', version = 1) => {
  const rows = people.map(({ userId }) => [workspaceId, userId, role, version]);
  for (const row of rows) {
    await accounting.db.query(
      `INSERT INTO workspace_members VALUES ($1, $2, $3, $4, now())
       ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role, version = excluded.version`,
      row,
    );
  }
};
const supervisor = (workspaceId?: string) =>
  accounting.user({ role: 'supervisor', ...(workspaceId !== undefined && { workspaceId }) });
const get = (who: User, path: string) => accounting.call('GET', path, { token: who.token });
const write = (who: User, method: string, path: string, body: unknown) =>
  accounting.call(method, path, { token: who.token, body, key: randomUUID() });
const usedIn = async (workspaceId: string | undefined, person: User, credits: number) => {
  const token = await accounting.tokens.access({ userId: person.userId, workspaceId });
  const holdId = await accounting.held({ ...person, token }, credits);
  accounting.expect(200, await accounting.settle({ ...person, token }, holdId, credits));
};

const moves: [string, (of: User) => [string, string, unknown]][] = [
  ['allocate', ({ userId }) => ['POST', '/api/credits/allocate', { userId, credits: 5 }]],
  ['set', ({ userId }) => ['POST', '/api/credits/set', { userId, credits: 5 }]],
  ['remove', ({ userId }) => ['DELETE', '/api/credits/remove', { userId, credits: 5, notes: 'x' }]],
  ['adjust', ({ userId }) => ['PUT', '/api/credits/adjust', { userId, adjustment: 5, notes: 'x' }]],
];
const looks: [string, (of: User) => string][] = [
  ['balance', ({ userId }) => `/api/credits/balance/${userId}`],
  ['balance by address', ({ userId }) => `/api/credits/balance/${userId}%40example.test`],
  ['usage', ({ userId }) => `/api/usage/stats/${userId}`],
  ['rows of usage', ({ userId }) => `/api/usage/records/${userId}`],
  ['report', ({ userId }) => `/api/usage/report?userId=${userId}`],
  ['active sessions', ({ userId }) => `/api/streaming-sessions/active/${userId}`],
  ['recent sessions', ({ userId }) => `/api/streaming-sessions/recent/${userId}`],
];

describe('a supervisor of one workspace', () => {
  it.each(moves)('may %s for its members, and finds nobody else, whose books stay as they are', async (_name, call) => {
    const [boss, mine, theirs] = [
      await supervisor(OURS),
      await accounting.user({ credits: 10 }),
      await accounting.user({ credits: 10 }),
    ];
    await members(OURS, [mine]);
    await members(THEIRS, [theirs]);
    expect([200, 201]).toContain((await write(boss, ...call(mine))).status);
    const transactions = () =>
      accounting.number('SELECT count(*) AS value FROM credit_transactions WHERE user_id = $1', [theirs.userId]);
    const before = await transactions();
    const refused = await write(boss, ...call(theirs));
    expect([refused.status, refused.body.code]).toEqual([404, 'not_found']);
    const unknown = await write(boss, ...call({ ...theirs, userId: '0123456789abcdef01234567' }));
    const sentence = ({ body }: typeof refused) => String(body['detail']).replaceAll(/[0-9a-f]{24}/g, 'ID');
    expect([unknown.status, sentence(unknown)]).toEqual([404, sentence(refused)]);
    expect([await transactions(), await accounting.balance(theirs)]).toEqual([before, { available: 10, held: 0 }]);
  });

  it.each(looks)('sees the %s of its members, and 404 for everybody else', async (_name, path) => {
    const [boss, mine, theirs] = [await supervisor(OURS), await accounting.user(), await accounting.user()];
    await members(OURS, [mine]);
    await members(THEIRS, [theirs]);
    expect((await get(boss, path(mine))).status).toBe(200);
    expect((await get(boss, path(theirs))).status).toBe(404);
    expect((await get(await accounting.user({ role: 'admin' }), path(theirs))).status).toBe(200);
    expect((await get(await supervisor(), path(theirs))).status).toBe(200);
  });

  it('sees of a member only what was done in its workspace', async () => {
    const [boss, other, mine] = [await supervisor(OURS), await supervisor(), await accounting.user({ credits: 100 })];
    await members(OURS, [mine]);
    await usedIn(OURS, mine, 3);
    await usedIn(THEIRS, mine, 20);
    await usedIn(undefined, mine, 40);
    const seen = async (who: User) => {
      const stats = await get(who, `/api/usage/stats/${mine.userId}`);
      const rows = await get(who, `/api/usage/records/${mine.userId}`);
      const report = await get(who, `/api/usage/report?userId=${mine.userId}&groupBy=user`);
      const recent = await get(who, `/api/streaming-sessions/recent/${mine.userId}`);
      return [
        stats.body['totalCredits'],
        (rows.body['records'] as { credits: number }[]).map(({ credits }) => credits),
        (report.body['rows'] as { credits: number }[]).map(({ credits }) => credits),
        (recent.body['sessions'] as { usedCredits: number }[]).map(({ usedCredits }) => usedCredits),
      ];
    };
    expect(await seen(boss)).toEqual([3, [3], [3], [3]]);
    expect(await seen(other)).toEqual([40, [40], [40], [40]]);
    expect((await seen(await accounting.user({ role: 'admin' })))[0]).toBe(63);
    const named = await get(boss, `/api/usage/report?userId=${mine.userId}&groupBy=user&workspaceId=${THEIRS}`);
    expect(named.body['rows']).toEqual([]);
  });

  it('lists the lots of its members alone, and a cursor from elsewhere widens nothing', async () => {
    const workspaceId = `w-${randomUUID()}`;
    const boss = await supervisor(workspaceId);
    const [mine, theirs] = [await accounting.user({ credits: 1 }), await accounting.user({ credits: 2 })];
    await members(workspaceId, [mine]);
    await members(THEIRS, [theirs]);
    for (const query of ['', '?cursor=999999999', '?limit=1']) {
      const listed = await get(boss, `/api/credits/allocations/all${query}`);
      expect((listed.body['allocations'] as { userId: string }[]).map(({ userId }) => userId)).toEqual([mine.userId]);
    }
    expect((await get(boss, '/api/credits/allocations/all?cursor=x')).status).toBe(400);
    const everybody = await get(await supervisor(), '/api/credits/allocations/all?limit=100');
    const owners = (everybody.body['allocations'] as { userId: string }[]).map(({ userId }) => userId);
    expect(owners).toEqual(expect.arrayContaining([mine.userId, theirs.userId]));
  });

  it('explains what was booked for its members there, and nothing else', async () => {
    const [boss, mine, theirs] = [
      await supervisor(OURS),
      await accounting.user({ credits: 50 }),
      await accounting.user({ credits: 50 }),
    ];
    await members(OURS, [mine]);
    await usedIn(OURS, mine, 3);
    await usedIn(THEIRS, mine, 4);
    await usedIn(THEIRS, theirs, 5);
    const settled = async ({ userId }: User) => {
      const { rows } = await accounting.db.query<{ id: string; workspace_id: string }>(
        `SELECT t.id, s.workspace_id FROM credit_transactions t JOIN streaming_sessions s ON s.id = t.hold_id
         WHERE t.user_id = $1 AND t.type = 'settle'`,
        [userId],
      );
      return rows;
    };
    for (const { id, workspace_id } of [...(await settled(mine)), ...(await settled(theirs))]) {
      const expected = workspace_id === OURS ? 200 : 404;
      expect([workspace_id, (await get(boss, `/api/credits/transactions/${id}/explain`)).status]).toEqual([
        workspace_id,
        expected,
      ]);
    }
  });

  it('is told apart in the log when it reaches beyond, and loses a member who was removed', async () => {
    const [boss, mine] = [await supervisor(OURS), await accounting.user({ credits: 10 })];
    await members(OURS, [mine]);
    expect((await get(boss, `/api/credits/balance/${mine.userId}`)).status).toBe(200);
    await members(OURS, [mine], null, 2);
    expect((await get(boss, `/api/credits/balance/${mine.userId}`)).status).toBe(404);
    expect((await write(boss, 'POST', '/api/credits/allocate', { userId: mine.userId, credits: 1 })).status).toBe(404);
    const metrics = await (await fetch(`${accounting.url}/metrics`)).text();
    expect(metrics).toMatch(/overstepp\S* [1-9]/);
  });

  it('moves nothing of a pool, and does not see that of another workspace', async () => {
    const boss = await supervisor(OURS);
    const admin = await accounting.user({ role: 'admin' });
    for (const workspaceId of [OURS, THEIRS]) {
      const path = `/api/workspaces/${workspaceId}/billing`;
      accounting.expect(200, await accounting.call('PUT', path, { token: admin.token, body: { billing: 'user' } }));
    }
    expect((await get(boss, `/api/credits/balance/ws_${OURS}`)).status).toBe(200);
    expect((await get(boss, `/api/credits/balance/ws_${THEIRS}`)).status).toBe(404);
    expect((await write(boss, 'POST', '/api/credits/allocate', { userId: `ws_${OURS}`, credits: 1 })).status).toBe(403);
    expect((await write(boss, 'POST', '/api/credits/allocate', { userId: `ws_${THEIRS}`, credits: 1 })).status).toBe(
      404,
    );
  });
});

describe('X-Workspace-Id', () => {
  it('is taken when it is the workspace of the token, and is 404 otherwise, whatever it names', async () => {
    const [inside, outside] = [await accounting.user({ workspaceId: OURS }), await accounting.user()];
    const balance = (who: User, workspaceId: string) =>
      fetch(`${accounting.url}/api/credits/balance`, {
        headers: { authorization: `Bearer ${who.token}`, 'x-workspace-id': workspaceId },
      }).then(({ status }) => status);
    expect([await balance(inside, OURS), await balance(outside, 'default')]).toEqual([200, 200]);
    for (const wrong of [THEIRS, 'default', '', `${OURS}, ${THEIRS}`, '*'])
      expect(await balance(inside, wrong)).toBe(404);
    expect(await balance(outside, OURS)).toBe(404);
  });
});
