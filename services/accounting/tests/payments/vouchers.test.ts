import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Accounting, type User } from '../harness/accounting.ts';

const TRIES = 5;

let accounting: Accounting;
let admin: User;
beforeAll(async () => {
  accounting = await Accounting.start({
    RATE_LIMITS: 'true',
    RATE_LIMIT_PER_USER: '1000000',
    VOUCHER_TRIES_PER_HOUR: String(TRIES),
    // A hundred people at once on a busy machine are to be answered, not told to come back.
    DB_ACQUIRE_TIMEOUT: '20s',
  });
  admin = await accounting.user({ role: 'admin' });
});
afterAll(async () => {
  expect(await accounting.faults()).toEqual([]);
  await accounting.stop();
});

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
type Made = { id: number; code: string };
const make = (body: object, key?: string) =>
  accounting.call('POST', '/api/vouchers', {
    token: admin.token,
    body: { credits: 50, redeemableUntil: inDays(10), ...body },
    ...(key !== undefined && { key }),
  });
const made = async (body: object): Promise<Made[]> =>
  accounting.expect(201, await make(body)).body['vouchers'] as Made[];
async function one(body: object = {}): Promise<Made> {
  const [voucher] = await made(body);
  if (!voucher) throw new Error('no voucher was made');
  return voucher;
}
const redeem = ({ token }: { token: string }, code: string, key?: string) =>
  accounting.call('POST', '/api/vouchers/redeem', { token, body: { code }, ...(key !== undefined && { key }) });

describe('a voucher', () => {
  it('case 53: goes to one of a hundred users who redeem it at once; the others are told 409', async () => {
    const { code, id } = await one();
    const users = await Promise.all(Array.from({ length: 100 }, () => accounting.user()));
    const answers = await Promise.all(users.map((user) => redeem(user, code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status, body }) => status === 409 && body.code === 'voucher_redeemed')).toHaveLength(99);
    const lots = "SELECT count(*) AS value FROM credit_allocations WHERE grant_key = 'voucher:' || $1";
    expect(await accounting.number(lots, [id])).toBe(1);
    const granted = await Promise.all(users.map((user) => accounting.balance(user)));
    expect(granted.reduce((sum, { available }) => sum + available, 0)).toBe(50);
  });

  it('has 100 random bits, is shown once, and is stored as a hash', async () => {
    const key = 'batch-1';
    const batch = { count: 20, redeemableUntil: inDays(10) };
    const first = await make(batch, key);
    const vouchers = first.body['vouchers'] as Made[];
    expect(new Set(vouchers.map(({ code }) => code)).size).toBe(20);
    for (const { code } of vouchers) expect(code).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$/);
    const again = await make(batch, key);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.body['vouchers']).toEqual(vouchers.map(({ id }) => ({ id, code: null })));
    const code = vouchers[0]?.code ?? '';
    const { rows } = await accounting.db.query<{ row: string }>(
      `SELECT v::text AS row FROM vouchers v UNION ALL SELECT k::text FROM idempotency_keys k`,
    );
    expect(rows.filter(({ row }) => row.includes(code) || row.includes(code.replaceAll('-', '')))).toEqual([]);
  });

  it('is understood however a person writes it, and gives a lot with its own terms', async () => {
    const { code } = await one({ credits: 70, expiryDays: 3, models: ['priced'] });
    const alice = await accounting.user();
    const spoken = ` ${code.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l')} `;
    expect(await redeem(alice, spoken)).toMatchObject({
      status: 200,
      body: { allocationId: expect.any(Number), credits: 70, remainingCredits: 70, expiresAt: expect.any(String) },
    });
    const { body } = await accounting.call('GET', '/api/credits/balance', { token: alice.token });
    expect(body['activeAllocations']).toMatchObject([{ source: 'promo', credits: 70, models: ['priced'] }]);
    expect((await redeem(alice, code)).status).toBe(409);
  });

  it('gives the first answer to a repeated key', async () => {
    const { code } = await one();
    const alice = await accounting.user();
    const [first, again] = [await redeem(alice, code, 'once'), await redeem(alice, code, 'once')];
    expect([again.status, again.body, again.headers.get('idempotency-replayed')]).toEqual([200, first.body, 'true']);
    expect(await accounting.balance(alice)).toEqual({ available: 50, held: 0 });
  });

  it('is unknown when nobody made it, after its term, or when it was voided', async () => {
    const alice = await accounting.user();
    const voided = await one();
    const remove = (id: number) => accounting.call('DELETE', `/api/vouchers/${id}`, { token: admin.token });
    expect(await remove(voided.id)).toMatchObject({ status: 200, body: { id: voided.id, state: 'voided' } });
    expect((await remove(voided.id)).status).toBe(200);
    expect((await remove(999_999)).status).toBe(404);
    expect((await redeem(alice, voided.code)).status).toBe(404);
    expect((await redeem(alice, 'ABCDE-FGHJK-MNPQR-STVWX')).status).toBe(404);
    const short = await one({ redeemableUntil: inDays(0.01) });
    await accounting.db.query(
      "UPDATE vouchers SET created_at = created_at - interval '1 day', redeemable_until = redeemable_until - interval '1 day' WHERE id = $1",
      [short.id],
    );
    expect((await redeem(alice, short.code)).status).toBe(404);
    expect(await accounting.balance(alice)).toEqual({ available: 0, held: 0 });

    const taken = await one();
    await redeem(alice, taken.code);
    expect(await remove(taken.id)).toMatchObject({ status: 409, body: { code: 'voucher_redeemed' } });
    expect((await make({ redeemableUntil: inDays(-1) })).status).toBe(422);
  });

  it('cannot be guessed: tries are few', async () => {
    const alice = await accounting.user();
    const { code } = await one();
    for (let n = 0; n < TRIES; n += 1) expect((await redeem(alice, `guess-${n}`)).status).toBe(404);
    const refused = await redeem(alice, code);
    expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([429, true]);
    expect((await redeem(await accounting.user(), code)).status).toBe(200);
  });

  it('is listed for admins, newest first, without its code', async () => {
    const vouchers = await made({ count: 3 });
    const list = async (query: string) =>
      (await accounting.call('GET', `/api/vouchers?${query}`, { token: admin.token })).body;
    const page = await list('limit=2');
    expect(JSON.stringify(page)).not.toContain(vouchers[2]?.code);
    expect((page['vouchers'] as Made[]).map(({ id }) => id)).toEqual([vouchers[2]?.id, vouchers[1]?.id]);
    expect((await list(`limit=1&cursor=${page['nextCursor']}`))['vouchers']).toMatchObject([
      { id: vouchers[0]?.id, state: 'open', credits: 50, createdBy: `admin:${admin.userId}` },
    ]);
    const alice = await accounting.user();
    expect((await accounting.call('GET', '/api/vouchers', { token: alice.token })).status).toBe(403);
  });
});
