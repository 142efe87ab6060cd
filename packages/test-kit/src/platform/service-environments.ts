import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const HOST = '127.0.0.1';

/** Everything a local installation is made of; the same for `scripts/dev` and for the tests. */
export interface Installation {
  readonly ports: { readonly auth: number; readonly accounting: number; readonly chatProxy: number };
  readonly secrets: {
    readonly access: string;
    readonly refresh: string;
    readonly service: string;
    readonly pepper: string;
    readonly tokenHash: string;
    readonly mfaEncryption: string;
    readonly ledgerSigning: string;
    readonly auditChain: string;
    readonly auditAnchor: string;
  };
  /** Accounting's database, as the role that serves and as the one that owns the schema. */
  readonly postgres: { readonly service: string; readonly owner: string };
  /** One Mongo database per service. */
  readonly mongo: { readonly auth: string; readonly chatProxy: string };
  readonly smtpUrl: string;
  readonly flowise: { readonly url: string; readonly apiKey: string };
  readonly openai: { readonly url: string; readonly apiKey: string; readonly models: readonly string[] };
  /** For tests: no rate limits, cheap password hashes, and every lease and interval in proportion to this lease. */
  readonly test?: { readonly leaseSeconds: number };
}

export interface ServiceEnvironments {
  readonly auth: Readonly<Record<string, string>>;
  readonly accounting: Readonly<Record<string, string>>;
  readonly chatProxy: Readonly<Record<string, string>>;
}

/** The environment of each service of a local installation. */
export function serviceEnvironments(installation: Installation): ServiceEnvironments {
  const { ports, secrets, mongo, test } = installation;
  const url = (port: number): string => `http://${HOST}:${port}`;
  const common = {
    NODE_ENV: test ? 'test' : 'development',
    HOST,
    MIGRATE_ON_START: 'true',
    JWT_ACCESS_SECRET: secrets.access,
    SHUTDOWN_ACCEPT: '0s',
    ...(test && { LOG_LEVEL: 'warn' }),
  };
  return {
    auth: {
      ...common,
      PORT: String(ports.auth),
      MONGODB_URI: mongo.auth,
      JWT_REFRESH_SECRET: secrets.refresh,
      JWT_SERVICE_SECRET: secrets.service,
      PASSWORD_PEPPER: secrets.pepper,
      TOKEN_HASH_SECRET: secrets.tokenHash,
      MFA_ENCRYPTION_KEYS: secrets.mfaEncryption,
      AUDIT_CHAIN_SECRET: secrets.auditChain,
      AUDIT_ANCHOR_SECRET: secrets.auditAnchor,
      SMTP_URL: installation.smtpUrl,
      PUBLIC_BASE_URL: url(ports.auth),
      ACCOUNTING_API_URL: url(ports.accounting),
      // Long enough that no test depends on how fast it runs.
      ...(test && { RATE_LIMITS: 'false', BCRYPT_COST: '4', MAIL_POLL: '1s', ADMIN_SESSION_IDLE: '60m' }),
    },
    accounting: {
      ...common,
      PORT: String(ports.accounting),
      DATABASE_URL: installation.postgres.service,
      DATABASE_OWNER_URL: installation.postgres.owner,
      LEDGER_SIGNING_SECRET: secrets.ledgerSigning,
      JWT_SERVICE_SECRET: secrets.service,
      AUTH_API_URL: url(ports.auth),
      SMTP_URL: installation.smtpUrl,
      ...(test && { RATE_LIMITS: 'false', ...accountingPace(test.leaseSeconds) }),
    },
    chatProxy: {
      ...common,
      PORT: String(ports.chatProxy),
      MONGODB_URI: mongo.chatProxy,
      JWT_SERVICE_SECRET: secrets.service,
      AUTH_API_URL: url(ports.auth),
      ACCOUNTING_API_URL: url(ports.accounting),
      FLOWISE_API_URL: installation.flowise.url,
      FLOWISE_API_KEY: installation.flowise.apiKey,
      OPENAI_BASE_URL: installation.openai.url,
      OPENAI_API_KEY: installation.openai.apiKey,
      OPENAI_MODELS: installation.openai.models.join(','),
      // Whoever points a local installation at another AI server means it; the guard is for servers that answer an empty list.
      ...(test ? proxyPace(test.leaseSeconds) : { SYNC_MAX_DELETED_PERCENT: '100' }),
    },
  };
}

const milliseconds = (seconds: number): string => `${Math.round(seconds * 1000)}ms`;

/** credits.md: a lease of 60 s, swept every 15 s. */
const accountingPace = (leaseSeconds: number): Record<string, string> => ({
  HOLD_LEASE: `${leaseSeconds}s`,
  SWEEP_INTERVAL: milliseconds(leaseSeconds / 4),
});

/** credits.md: renewals every 15 s of 60, checkpoints every 2 s. */
const proxyPace = (leaseSeconds: number): Record<string, string> => ({
  HOLD_RENEW_INTERVAL: milliseconds(leaseSeconds / 4),
  CHECKPOINT_INTERVAL: milliseconds(leaseSeconds / 30),
  JOURNAL_LEASE: milliseconds(leaseSeconds / 2),
  SESSION_LEASE: milliseconds(leaseSeconds),
  LEFTOVERS_INTERVAL: milliseconds(leaseSeconds / 60),
  SETTLE_RETRY_FIRST: milliseconds(leaseSeconds / 120),
  SETTLE_RETRY_LONGEST: milliseconds(leaseSeconds / 2),
  ABANDONED_INTERVAL: milliseconds(leaseSeconds / 4),
  ACCOUNTING_BREAK_TIME: '1s',
  // Tests make servers fail on purpose.
  UPSTREAM_BREAK_AFTER: '1000',
});

export interface WantedUser {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly role: 'enduser' | 'supervisor' | 'admin';
}

/** Opens accounts in auth's database through its own seed command. Accounts that exist keep their passwords. */
export async function seedAccounts(
  environment: Readonly<Record<string, string>>,
  users: readonly WantedUser[],
): Promise<{ id: string; username: string }[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-seed-'));
  try {
    const file = join(folder, 'users.json');
    await writeFile(file, JSON.stringify(users), { mode: 0o600 });
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--conditions=tollgate', 'services/auth/src/seed.ts', file],
      {
        cwd: fileURLToPath(new URL('../../../../', import.meta.url)),
        env: {
          PATH: process.env.PATH,
          HOME: process.env.HOME,
          NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
          ...environment,
        },
        timeout: 60_000,
      },
    );
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as { id: string; username: string }[];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
