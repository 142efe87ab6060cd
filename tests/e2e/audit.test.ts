import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { eventually, type Person, type Platform, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
let alice: Person;
beforeAll(async () => {
  platform = await startPlatform();
  alice = await platform.user({ credits: 50 });
}, 120_000);
afterAll(() => platform.stop());

interface Line {
  readonly action: string;
  readonly service: string;
  readonly actorId: string;
  readonly targetId?: string;
  readonly facts: Record<string, unknown>;
}

const linesOf = (action: string, wanted: number): Promise<Line[]> =>
  eventually(async () => {
    const { body } = await platform.admin.auth<{ lines: Line[] }>('GET', `/api/admin/audit?action=${action}`);
    return body.lines.length >= wanted ? body.lines : undefined;
  }, `${wanted} lines of ${action}`);

it('puts down who was refused on any of the three services', async () => {
  expect((await alice.auth('GET', '/api/admin/users')).status).toBe(403);
  expect((await alice.accounting('GET', '/api/usage/system-stats')).status).toBe(403);
  expect((await alice.chatProxy('GET', '/api/v1/admin/chatflows')).status).toBe(403);
  const lines = await linesOf('access.refused', 3);
  expect(lines.map(({ service }) => service).sort()).toEqual(['accounting', 'auth', 'chat-proxy']);
  expect(lines.every(({ actorId }) => actorId === alice.userId)).toBe(true);
  expect(lines.map(({ facts }) => facts['code'])).toEqual(['forbidden', 'forbidden', 'forbidden']);
});

it('puts down what administrators do to credits, and who exports how much', async () => {
  const adjusted = await platform.admin.accounting('PUT', '/api/credits/adjust', {
    userId: alice.userId,
    adjustment: -20,
    notes: 'too many',
  });
  expect(adjusted.status).toBe(200);
  const lines = await linesOf('credits.adjusted', 2);
  expect(lines).toContainEqual(
    expect.objectContaining({
      service: 'accounting',
      actorId: platform.admin.userId,
      targetId: alice.userId,
      facts: { operation: 'adjusted', credits: -20, from: 50, to: 30 },
    }),
  );
  const csv = await fetch(`${platform.urls.accounting}/api/credits/transactions?format=csv`, {
    headers: { authorization: `Bearer ${alice.accessToken}` },
  });
  const rows = (await csv.text()).trim().split('\r\n').length - 1;
  expect(await linesOf('export.made', 1)).toMatchObject([
    { actorId: alice.userId, facts: { file: 'ledger.csv', rows, isComplete: true } },
  ]);
  const { body } = await platform.admin.auth('GET', '/api/admin/audit/verify');
  expect(body).toMatchObject({ ok: true, offenders: 0 });
});
