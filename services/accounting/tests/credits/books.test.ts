import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Accounting, type User } from '../harness/accounting.ts';
import type { Answer } from '../harness/http.ts';

// The books against whatever workers do to them. By hand at full size: BOOKS_RUNS=1000 BOOKS_STEPS=50 BOOKS_WORKERS=8 pnpm jest …

const sizeOf = (name: string, usual: number): number => Number(process.env[name] ?? usual);
const RUNS = sizeOf('BOOKS_RUNS', 6);
const STEPS = sizeOf('BOOKS_STEPS', 20);
const WORKERS = sizeOf('BOOKS_WORKERS', 4);
/** So many runs share a database; then a fresh one begins, so that verification stays quick. */
const RUNS_PER_DATABASE = 40;
const RUN_MS = 60_000;
/** For those who wait for a thousand. */
const TOLD_RUNS = 20;

let accounting: Accounting;
let admin: User;
let runs = 0;
async function begin(): Promise<void> {
  accounting = await Accounting.start({ OVERRUN_POLICY: 'debt' });
  admin = await accounting.user({ role: 'admin' });
  const body = { upstream: 'openai', model: 'dear', unitPrices: { output: 3_000_000 } };
  accounting.expect(201, await accounting.call('POST', '/api/pricing', { token: admin.token, body }));
}
beforeAll(begin, 60_000);
afterAll(() => accounting.stop());

const KINDS = [
  'grant',
  'promo',
  'hold',
  'hold',
  'hold',
  'keyed',
  'extend',
  'requote',
  'settle',
  'settle',
  'settle',
  'again',
  'void',
  'renew',
  'deduct',
  'adjust',
  'revoke',
  'refund',
  'limit',
  'budget',
  'block',
  'unblock',
  'pool',
  'sweep',
] as const;
type Kind = (typeof KINDS)[number];
const dice = fc.record({
  kind: fc.constantFrom(...KINDS),
  credits: fc.integer({ min: 1, max: 120 }),
  pick: fc.nat({ max: 10_000 }),
});
type Die = { kind: Kind; credits: number; pick: number };
/** Three users; two of them are members of a workspace that may pay for what they ask there. */
type World = { users: User[]; workspaceId: string; holds: Map<string, string[]>; lots: () => Promise<number[]> };

async function world(): Promise<World> {
  const workspaceId = randomUUID();
  const users = await Promise.all([undefined, workspaceId, workspaceId].map((id) => member(id)));
  const ids = [...users.map(({ userId }) => userId), `ws_${workspaceId}`];
  await by('PUT', `/api/workspaces/${workspaceId}/billing`, { billing: 'pool' });
  await by('POST', '/api/credits/allocate', { userId: `ws_${workspaceId}`, credits: 300 });
  return {
    users,
    workspaceId,
    holds: new Map(users.map(({ userId }) => [userId, []])),
    async lots() {
      const { rows } = await accounting.db.query<{ id: string }>(
        'SELECT id FROM credit_allocations WHERE user_id = ANY ($1) ORDER BY id',
        [ids],
      );
      return rows.map(({ id }) => Number(id));
    },
  };
}

const member = (workspaceId: string | undefined): Promise<User> =>
  accounting.user({ credits: 200, ...(workspaceId !== undefined && { workspaceId }) });
const by = (method: string, path: string, body: object): Promise<Answer> =>
  accounting.call(method, path, { token: admin.token, body });

async function step({ workspaceId, holds, lots }: World, user: User, die: Die): Promise<number> {
  const { kind, credits, pick } = die;
  const own = holds.get(user.userId) ?? [];
  const holdId = own[pick % Math.max(1, own.length)] ?? randomUUID();
  const hold = async (more: object): Promise<Answer> => {
    const answer = await accounting.hold(user, { output: credits }, { ...(pick % 2 && { minOutput: 5 }), ...more });
    if (answer.status === 201) own.push(String(answer.body['holdId']));
    return answer;
  };
  const extend = (more: object) =>
    accounting.proxy('POST', `/api/holds/${holdId}/extend`, user, {
      body: { fence: 1, units: { output: credits }, ...(pick % 2 && { minOutput: 5 }), ...more },
    });
  const limit = (measure: string, window: string) =>
    by('POST', '/api/limits', {
      scope: pick % 2 ? 'user' : 'member',
      subject: pick % 2 ? user.userId : `${workspaceId}:*`,
      measure,
      window,
      amount: credits * 2,
    });
  const steps: Record<Kind, () => Promise<{ status: number }>> = {
    grant: () => by('POST', '/api/credits/allocate', { userId: user.userId, credits, expiryDays: 1 + (pick % 3) }),
    promo: () =>
      by('POST', '/api/credits/allocate', {
        userId: user.userId,
        credits,
        source: 'promo',
        priority: pick % 200,
        models: pick % 3 ? ['priced'] : ['dear'],
      }),
    hold: () => hold({}),
    keyed: () => hold({ apiKeyId: `key-${pick % 2}` }),
    extend: () => extend({}),
    requote: () => extend({ resource: { upstream: 'openai', model: pick % 2 ? 'dear' : 'priced' } }),
    settle: () => accounting.settle(user, holdId, credits),
    again: () => accounting.settle(user, holdId, pick % 100, { key: `${holdId}-${pick % 3}` }),
    void: () => accounting.void(user, holdId),
    renew: () => accounting.renew(user, holdId, { checkpoint: { output: credits % 20 } }),
    deduct: () => accounting.call('POST', '/api/credits/deduct', { token: user.token, body: { credits } }),
    adjust: () =>
      by('PUT', '/api/credits/adjust', {
        userId: pick % 4 ? user.userId : `ws_${workspaceId}`,
        adjustment: pick % 2 ? credits : -credits,
        notes: 'model',
      }),
    async revoke() {
      const ids = await lots();
      return by('DELETE', `/api/credits/allocations/${ids[pick % Math.max(1, ids.length)] ?? 1}`, {});
    },
    refund: () => by('POST', '/api/credits/refunds', { holdId, credits, reason: 'model' }),
    limit: () => limit(pick % 3 ? 'requests' : 'tokens', 'day'),
    budget: () => limit('credits', pick % 3 ? 'day' : 'never'),
    block: () => by('PUT', `/api/admin/blocks/${pick % 2 ? 'key/key-1' : `user/${user.userId}`}`, { reason: 'model' }),
    unblock: () => by('DELETE', `/api/admin/blocks/${pick % 2 ? 'key/key-1' : `user/${user.userId}`}`, {}),
    pool: () => by('PUT', `/api/workspaces/${workspaceId}/billing`, { billing: pick % 3 ? 'pool' : 'user' }),
    async sweep() {
      await accounting.flows.sweepHolds();
      return { status: 200 };
    },
  };
  return (await steps[kind]()).status;
}

/** Definite answers. */
const EXPECTED = [200, 201, 400, 402, 403, 404, 409, 422, 429];

it(
  `keep I1-I9 whatever ${WORKERS} workers do in ${STEPS} steps each, over holds, pools, limits, refunds and a moving clock`,
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(dice, { minLength: STEPS, maxLength: STEPS }), { minLength: WORKERS, maxLength: WORKERS }),
        async (workers) => {
          if (runs > 0 && runs % RUNS_PER_DATABASE === 0) {
            await accounting.stop();
            await begin();
          }
          runs += 1;
          if (runs % TOLD_RUNS === 0) process.stderr.write(`${runs} of ${RUNS} sequences\n`);
          const one = await world();
          const statuses = await Promise.all(
            workers.map(async (steps, worker) => {
              const seen: string[] = [];
              for (const [n, die] of steps.entries()) {
                const user = one.users[(worker + n) % one.users.length];
                if (user) seen.push(`${die.kind} ${await step(one, user, die)}`);
              }
              return seen;
            }),
          );
          expect(statuses.flat().filter((said) => !EXPECTED.includes(Number(said.split(' ')[1])))).toEqual([]);
          expect(await accounting.faults()).toEqual([]);
          // A day later every lease is over and some lots have lapsed, held ones among them.
          await accounting.advanceClock(25);
          await accounting.flows.sweepHolds();
          await accounting.flows.expireCredits();
          expect(await accounting.faults()).toEqual([]);
          const open = "SELECT count(*) AS value FROM streaming_sessions WHERE status = 'active'";
          expect(await accounting.number(open)).toBe(0);
          expect(await accounting.number('SELECT coalesce(sum(amount), 0) AS value FROM credit_entries')).toBe(0);
          expect(await accounting.number('SELECT coalesce(sum(reserved), 0) AS value FROM limit_counters')).toBe(0);
        },
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  RUNS * RUN_MS,
);
