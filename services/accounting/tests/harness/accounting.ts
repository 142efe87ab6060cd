import { randomUUID } from 'node:crypto';
import type { Role, Units } from '@tollgate/contracts';
import { newUserId } from '@tollgate/test-kit';
import { type Answer, callJson, type CallOptions } from './http.ts';
import { Installation, type Manner, openInstallation } from './installation.ts';

export type User = Readonly<{ userId: string; token: string; role: Role }>;
/** `priced` costs exactly one credit per output token; what the tests reckon with. */
const PRICED = { upstream: 'openai', model: 'priced' };
const PRICES = [
  { upstream: 'openai', model: 'priced', unitPrices: { output: 1_000_000 } },
  { upstream: 'openai', model: 'free', free: true },
];

/** The accounting service over HTTP: people, what services do in their name, and what the books say afterwards. */
export class Accounting extends Installation {
  static async start(extra: Record<string, string> = {}, manner: Manner = {}): Promise<Accounting> {
    const accounting = new Accounting(await openInstallation(extra, manner));
    const admin = await accounting.user({ role: 'admin' });
    for (const body of PRICES)
      accounting.expect(201, await accounting.call('POST', '/api/pricing', { token: admin.token, body }));
    return accounting;
  }

  call(method: string, path: string, options: CallOptions = {}, url = this.url): Promise<Answer> {
    return callJson(method, url + path, options);
  }

  expect(status: number, answer: Answer): Answer {
    if (answer.status !== status)
      throw new Error(`expected ${status}, got ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer;
  }

  /** A person with an account and, unless 0, one lot of credits that lapses in 30 days. */
  async user({
    credits = 0,
    role = 'enduser' as Role,
    workspaceId,
  }: {
    credits?: number;
    role?: Role;
    workspaceId?: string;
  } = {}): Promise<User> {
    const userId = newUserId();
    const user = { userId, role, token: await this.tokens.access({ userId, role, workspaceId }) };
    this.expect(200, await this.call('GET', '/api/credits/balance', { token: user.token }));
    if (credits > 0) await this.grant(user, { credits });
    return user;
  }

  /** A lot of any kind, through the function that the service uses. Times count from the ledger's now. */
  async grant(
    { userId }: { userId: string },
    {
      credits,
      source = 'admin',
      ...more
    }: { credits: number; source?: string; priority?: number; days?: number | null; in?: string; models?: string[] },
  ): Promise<number> {
    const { rows } = await this.db.query<{ allocation_id: string }>(
      `SELECT allocation_id FROM ledger.grant_credits(jsonb_populate_record(NULL::ledger.lot_request, $1::jsonb
        || jsonb_build_object('effective_at', ledger_now() + $2::interval)))`,
      [
        JSON.stringify({
          user_id: userId,
          source,
          credits,
          priority: more.priority,
          expiry_days: more.days === undefined ? 30 : more.days,
          models: more.models,
          actor: 'test',
        }),
        more.in ?? '0',
      ],
    );
    return Number(rows[0]?.allocation_id);
  }

  /** Calls of the chat proxy in the name of a user. */
  async proxy(
    method: string,
    path: string,
    user: User,
    { body, key, url }: { body?: unknown; key?: string | null; url?: string } = {},
  ): Promise<Answer> {
    const token = await this.tokens.service('chat-proxy', 'accounting');
    return this.call(
      method,
      path,
      { token, onBehalfOf: user.token, ...(body !== undefined && { body }), ...(key !== undefined && { key }) },
      url,
    );
  }

  hold(
    user: User,
    units: Units,
    {
      holdId = randomUUID() as string,
      resource = PRICED,
      minOutput,
      key,
      url,
      ...more
    }: {
      holdId?: string;
      resource?: object;
      minOutput?: number;
      apiKeyId?: string;
      workspaceId?: string;
      key?: string;
      url?: string;
    } = {},
  ): Promise<Answer> {
    const body = { holdId, resource, units, ...(minOutput !== undefined && { minOutput }), ...more };
    return this.proxy('POST', '/api/holds', user, {
      body,
      ...(key !== undefined && { key }),
      ...(url !== undefined && { url }),
    });
  }

  settle(
    user: User,
    holdId: unknown,
    output: number,
    { key, url, ...more }: { key?: string; url?: string; outcome?: string; usageSource?: string } = {},
  ): Promise<Answer> {
    const body = { outcome: 'completed', units: { output }, usageSource: 'provider', ...more };
    return this.proxy('POST', `/api/holds/${holdId}/settle`, user, {
      body,
      ...(key !== undefined && { key }),
      ...(url !== undefined && { url }),
    });
  }

  void(
    user: User,
    holdId: unknown,
    { key, url, ...more }: { key?: string; url?: string; unlessActive?: boolean } = {},
  ): Promise<Answer> {
    const body = { reason: 'upstream_failed', ...more };
    return this.proxy('POST', `/api/holds/${holdId}/void`, user, {
      body,
      ...(key !== undefined && { key }),
      ...(url !== undefined && { url }),
    });
  }

  renew(user: User, holdId: unknown, renewal: { fence?: number; checkpoint?: Units } = {}): Promise<Answer> {
    return this.proxy('POST', `/api/holds/${holdId}/renew`, user, { body: { fence: 1, ...renewal } });
  }

  /** An open hold of so many credits; its id. */
  async held(user: User, credits: number): Promise<string> {
    return String(this.expect(201, await this.hold(user, { output: credits })).body['holdId']);
  }

  async balance(user: User): Promise<{ available: number; held: number }> {
    const { body } = this.expect(200, await this.call('GET', '/api/credits/balance', { token: user.token }));
    return { available: Number(body['available']), held: Number(body['held']) };
  }

  /** [remaining, held, consumed, expired, revoked] of a lot. */
  async lot(id: number): Promise<number[]> {
    const { rows } = await this.db.query<Record<string, string>>(
      'SELECT remaining_credits r, held_credits h, consumed_credits c, expired_credits e, revoked_credits v FROM credit_allocations WHERE id = $1',
      [id],
    );
    return Object.values(rows[0] ?? {}).map(Number);
  }

  revenueOf(user: User): Promise<number> {
    return this.number(
      `SELECT coalesce(sum(e.amount), 0) AS value FROM credit_entries e JOIN credit_transactions t ON t.id = e.transaction_id
       WHERE t.user_id = $1 AND e.account = 'revenue'`,
      [user.userId],
    );
  }

  /** What was told of charges that nothing covered. */
  async overruns(user: User): Promise<unknown[]> {
    const { rows } = await this.db.query(
      "SELECT payload FROM outbox WHERE type = 'usage.overrun' AND user_id = $1 ORDER BY created_at",
      [user.userId],
    );
    return rows.map(({ payload }) => payload);
  }

  /** The offenders of every invariant I1-I9; empty when the books are right. */
  async faults(): Promise<unknown[]> {
    const { checks } = await this.flows.verifyLedger();
    return checks.filter(({ offenders }) => offenders > 0);
  }
}
