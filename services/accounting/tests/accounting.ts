import { randomBytes, randomUUID } from 'node:crypto';
import type { Role, Units } from '@tollgate/contracts';
import {
  createPostgresDatabase,
  createTestTokens,
  freePorts,
  newUserId,
  ServiceProcess,
  type TestTokens,
} from '@tollgate/test-kit';
import type { Logger } from '@tollgate/telemetry';
import pg from 'pg';
import { readAccountingConfig } from '../src/config.ts';
import type { Deps } from '../src/deps.ts';
import { migrate } from '../src/migrate.ts';
import { type Answer, callJson, type CallOptions } from './http.ts';
import { type Instance, startInstance } from './instance.ts';

export type User = Readonly<{ userId: string; token: string; role: Role }>;
/** `priced` costs exactly one credit per output token; what the tests reckon with. */
const PRICED = { upstream: 'openai', model: 'priced' };
const PRICES = [
  { upstream: 'openai', model: 'priced', unitPrices: { output: 1_000_000 } },
  { upstream: 'openai', model: 'free', free: true },
];

const SECONDS_PER_HOUR = 3600;

/** The accounting service over HTTP with a database of its own, and a view on that database beside the service. */
export class Accounting {
  readonly db: pg.Pool;
  readonly tokens: TestTokens;
  readonly instances: Instance[];
  readonly #processes: ServiceProcess[] = [];
  #shiftSeconds = 0;
  /** With which every instance is started. */
  readonly env: Readonly<Record<string, string>>;
  readonly #dropDatabase: () => Promise<void>;

  private constructor(parts: {
    db: pg.Pool;
    tokens: TestTokens;
    first: Instance;
    env: Record<string, string>;
    drop: () => Promise<void>;
  }) {
    this.db = parts.db;
    this.tokens = parts.tokens;
    this.instances = [parts.first];
    this.env = parts.env;
    this.#dropDatabase = parts.drop;
  }

  /** `databasePort`: the service reaches its database through another port, such as that of a chaos proxy. */
  static async start(
    extra: Record<string, string> = {},
    { databasePort }: { databasePort?: number } = {},
  ): Promise<Accounting> {
    const database = await createPostgresDatabase();
    const seen = new URL(database.serviceUrl);
    if (databasePort !== undefined) seen.port = String(databasePort);
    const secret = () => randomBytes(36).toString('base64url');
    const secrets = { accessSecret: secret(), refreshSecret: secret(), serviceSecret: secret() };
    const env = {
      NODE_ENV: 'test',
      PORT: '0',
      LOG_LEVEL: 'silent',
      // What the service may do is what its own role may do; `db` is the superuser's view beside it.
      DATABASE_URL: seen.href,
      DATABASE_OWNER_URL: database.url,
      LEDGER_SIGNING_SECRET: `h1:${secret()}`,
      // The name that test tokens give their key.
      JWT_ACCESS_SECRET: `k1:${secrets.accessSecret}`,
      JWT_SERVICE_SECRET: `k1:${secrets.serviceSecret}`,
      RATE_LIMITS: 'false',
      ...extra,
    };
    await migrate(readAccountingConfig(env));
    const db = new pg.Pool({ connectionString: database.url, max: 4, idleTimeoutMillis: 0 });
    db.on('error', () => undefined);
    const first = await startInstance(env);
    const accounting = new Accounting({ db, tokens: createTestTokens(secrets), first, env, drop: database.drop });
    const admin = await accounting.user({ role: 'admin' });
    for (const body of PRICES)
      accounting.expect(201, await accounting.call('POST', '/api/pricing', { token: admin.token, body }));
    return accounting;
  }

  get url(): string {
    return this.first.url;
  }

  get first(): Instance {
    const [first] = this.instances;
    if (!first) throw new Error('no instance is running');
    return first;
  }

  get flows(): Deps['flows'] {
    return this.first.deps.flows;
  }

  /** One more instance of the service on the same database. */
  async another(extra: Record<string, string> = {}, logger?: Logger): Promise<Instance> {
    const instance = await startInstance({ ...this.env, ...extra }, logger);
    this.instances.push(instance);
    return instance;
  }

  /** One more instance as a process of its own; its address. */
  async process(): Promise<string> {
    const [port = 0] = await freePorts(1);
    const instance = await new ServiceProcess({
      name: 'accounting',
      port,
      env: { ...this.env, PORT: String(port) },
    }).start();
    this.#processes.push(instance);
    return instance.url;
  }

  async migrateAgain(): Promise<void> {
    await migrate(readAccountingConfig(this.env));
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
    { key, url }: { key?: string; url?: string } = {},
  ): Promise<Answer> {
    const body = { outcome: 'completed', units: { output }, usageSource: 'provider' };
    return this.proxy('POST', `/api/holds/${holdId}/settle`, user, {
      body,
      ...(key !== undefined && { key }),
      ...(url !== undefined && { url }),
    });
  }

  void(user: User, holdId: unknown, { key, url }: { key?: string; url?: string } = {}): Promise<Answer> {
    const body = { reason: 'upstream_failed' };
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

  async number(sql: string, values: unknown[] = []): Promise<number> {
    const { rows } = await this.db.query<{ value: string }>(sql, values);
    return Number(rows[0]?.value);
  }

  revenueOf(user: User): Promise<number> {
    return this.number(
      `SELECT coalesce(sum(e.amount), 0) AS value FROM credit_entries e JOIN credit_transactions t ON t.id = e.transaction_id
       WHERE t.user_id = $1 AND e.account = 'revenue'`,
      [user.userId],
    );
  }

  /** The offenders of every invariant I1-I9; empty when the books are right. */
  async faults(): Promise<unknown[]> {
    const { checks } = await this.flows.verifyLedger();
    return checks.filter(({ offenders }) => offenders > 0);
  }

  /** Moves the ledger's clock forward for everybody: every plan of every connection follows the function. */
  async advanceClock(hours: number): Promise<void> {
    this.#shiftSeconds += Math.round(hours * SECONDS_PER_HOUR);
    await this.db.query(
      `CREATE OR REPLACE FUNCTION public.ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE
       RETURN clock_timestamp() + interval '${this.#shiftSeconds} seconds'`,
    );
  }

  /** Until every pool has noticed that its connections are gone. */
  async untilConnected(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      const answers = await Promise.allSettled(
        this.instances.flatMap(({ deps }) => [
          deps.flows.readBalanceOf('nobody'),
          deps.flows.usageReport({}),
          deps.flows.verifyLedger(),
        ]),
      );
      const isBack = answers.every((answer) => answer.status === 'fulfilled' || answer.reason?.code === 'NOT_FOUND');
      quiet = isBack ? quiet + 1 : 0;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.instances.map((instance) => instance.stop()));
    await Promise.all(this.#processes.map((instance) => instance.end('SIGTERM')));
    await this.db.end();
    await this.#dropDatabase();
  }
}
