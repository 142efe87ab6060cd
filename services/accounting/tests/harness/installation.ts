import { randomBytes } from 'node:crypto';
import {
  createLedgerDatabase,
  createTestTokens,
  freePorts,
  poolDatabase,
  ServiceProcess,
  type TestTokens,
} from '@tollgate/test-kit';
import type { Logger } from '@tollgate/telemetry';
import pg from 'pg';
import { readAccountingConfig } from '../../src/config.ts';
import type { Deps } from '../../src/deps.ts';
import { migrate } from '../../src/migrate.ts';
import { type Instance, startInstance } from './instance.ts';

const SECONDS_PER_HOUR = 3600;

type Parts = Readonly<{
  /** The superuser's view on the database beside the service. */
  db: pg.Pool;
  tokens: TestTokens;
  instances: Instance[];
  /** With which every instance is started. */
  env: Readonly<Record<string, string>>;
  drop: () => Promise<void>;
}>;
export type Manner = Readonly<{
  /** The service reaches its database through another port, such as that of a chaos proxy. */
  databasePort?: number;
}>;

/** A database of its own, migrated, and the first instance of the service on it. */
export async function openInstallation(extra: Record<string, string>, { databasePort }: Manner): Promise<Parts> {
  const database = await createLedgerDatabase();
  const pooled = await poolDatabase(database.serviceUrl);
  const seen = new URL(pooled.url);
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
    // No test depends on how fast the database is, unless something comes between.
    ...(databasePort === undefined && { DB_ACQUIRE_TIMEOUT: '30s' }),
    ...pooled.environment,
    ...extra,
  };
  await migrate(readAccountingConfig(env));
  const db = new pg.Pool({ connectionString: database.url, max: 4, idleTimeoutMillis: 0 });
  db.on('error', () => undefined);
  const first = await startInstance(env);
  const drop = async () => {
    await pooled.close();
    await database.drop();
  };
  return { db, tokens: createTestTokens(secrets), instances: [first], env, drop };
}

/** Instances of the accounting service on one database, and the clock of that database. */
export class Installation {
  readonly db: pg.Pool;
  readonly tokens: TestTokens;
  readonly instances: Instance[];
  readonly env: Readonly<Record<string, string>>;
  readonly #processes: ServiceProcess[] = [];
  readonly #dropDatabase: () => Promise<void>;
  #shiftSeconds = 0;

  protected constructor({ db, tokens, instances, env, drop }: Parts) {
    this.db = db;
    this.tokens = tokens;
    this.instances = instances;
    this.env = env;
    this.#dropDatabase = drop;
  }

  /** A pooler stands before the database: whoever connects as the service does must say so, too. */
  get isPooled(): boolean {
    return this.env['DB_POOLING'] === 'transaction';
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

  async number(sql: string, values: unknown[] = []): Promise<number> {
    const { rows } = await this.db.query<{ value: string }>(sql, values);
    return Number(rows[0]?.value);
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
          deps.flows.readBalanceOf({ role: 'admin' }, 'nobody'),
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
