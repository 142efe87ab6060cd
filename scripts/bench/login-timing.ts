// Whether the time of a refused login tells what kind of account was named: `pnpm bench:login [--logins 1000] [--cost 10]`.
// A real auth service with a database of its own; the kinds take turns, so that whatever else the machine does hits all alike.
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startMongo } from '@tollgate/dev-databases';
import { callJson, freePorts, ServiceProcess, startSmtpSink } from '@tollgate/test-kit';
import { MongoClient } from 'mongodb';

const { values } = parseArgs({
  options: { logins: { type: 'string', default: '1000' }, cost: { type: 'string', default: '10' } },
});
const LOGINS = Math.min(Math.max(Number(values.logins) || 0, 40), 100_000);
const KINDS = ['existing', 'unknown', 'locked', 'unverified'] as const;
type Kind = (typeof KINDS)[number];
const WARM_UP = 40;
/** How far the medians may lie apart. */
const TOLERANCE = 0.05;
const PASSWORD = 'a-long-walk-in-the-rain';

const secret = (): string => randomBytes(36).toString('base64url');
const identifier = (kind: Kind): string => `${kind}-somebody`;

async function startAuth(mongoUrl: string, smtpUrl: string): Promise<ServiceProcess> {
  const [port = 0] = await freePorts(1);
  const env = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'error',
    MIGRATE_ON_START: 'true',
    MONGODB_URI: mongoUrl,
    SMTP_URL: smtpUrl,
    JWT_ACCESS_SECRET: secret(),
    JWT_REFRESH_SECRET: secret(),
    JWT_SERVICE_SECRET: secret(),
    PASSWORD_PEPPER: secret(),
    TOKEN_HASH_SECRET: secret(),
    MFA_ENCRYPTION_KEYS: secret(),
    AUDIT_CHAIN_SECRET: secret(),
    AUDIT_ANCHOR_SECRET: secret(),
    BCRYPT_COST: values.cost,
    RATE_LIMITS: 'false',
    ENABLE_TESTING_ROUTES: 'true',
  };
  return new ServiceProcess({ name: 'auth', port, env }).start();
}

/** Every kind but the unknown signs up; two prove their address, and one of those is locked. */
async function openAccounts(url: string, mongoUrl: string): Promise<void> {
  for (const kind of KINDS.filter((name) => name !== 'unknown')) {
    const body = { username: identifier(kind), email: `${kind}@example.test`, password: PASSWORD };
    const { body: account } = await callJson('POST', `${url}/api/auth/signup`, { body });
    if (kind !== 'unverified') await callJson('POST', `${url}/api/testing/verify-user/${String(account['userId'])}`);
  }
  const client = await MongoClient.connect(mongoUrl);
  await client
    .db()
    .collection('users')
    .updateOne({ usernameKey: identifier('locked') }, { $set: { status: 'locked' } });
  await client.close();
}

async function timeOf(url: string, kind: Kind): Promise<number> {
  const body = { username: identifier(kind), password: `not-${PASSWORD}` };
  const began = performance.now();
  const { status } = await callJson('POST', `${url}/api/auth/login`, { body });
  const took = performance.now() - began;
  if (status !== 401) throw new Error(`the login of ${kind} answered ${status}`);
  return took;
}

/** In turns, each round in another order: no kind always follows the same one. */
async function measure(url: string): Promise<Record<Kind, number[]>> {
  const times: Record<Kind, number[]> = { existing: [], unknown: [], locked: [], unverified: [] };
  for (let login = -WARM_UP; login < LOGINS; login += KINDS.length) {
    const turn = Math.abs(login / KINDS.length) % KINDS.length;
    for (const kind of [...KINDS.slice(turn), ...KINDS.slice(0, turn)]) {
      const took = await timeOf(url, kind);
      if (login >= 0) times[kind].push(took);
    }
  }
  return times;
}

const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.floor(part * (sorted.length - 1))] ?? 0;

const folder = await mkdtemp(join(tmpdir(), 'tollgate-bench-'));
const onProgress = (text: string): void => void process.stderr.write(`• ${text}\n`);
const mongo = await startMongo({ dataDir: join(folder, 'mongo'), durable: false, env: process.env, onProgress });
const sink = await startSmtpSink({});
const database = new URL(mongo.url);
database.pathname = `/bench_${randomUUID().replaceAll('-', '')}`;
const service = await startAuth(database.href, sink.smtpUrl);
try {
  await openAccounts(service.url, database.href);
  const times = await measure(service.url);
  const medians = KINDS.map((kind) => {
    const sorted = times[kind].toSorted((a, b) => a - b);
    const [p10, p50, p90] = [0.1, 0.5, 0.9].map((part) => quantile(sorted, part)) as [number, number, number];
    const row = `${kind.padEnd(12)} n ${sorted.length}  p10 ${p10.toFixed(2)}  median ${p50.toFixed(2)}  p90 ${p90.toFixed(2)} ms`;
    process.stdout.write(`${row}\n`);
    return p50;
  });
  const ratio = Math.max(...medians) / Math.min(...medians);
  process.stdout.write(`slowest median / fastest median: ${ratio.toFixed(4)}\n`);
  process.exitCode = ratio <= 1 + TOLERANCE ? 0 : 1;
} finally {
  await service.end('SIGTERM');
  await sink.stop();
  await mongo.stop();
  await rm(folder, { recursive: true, force: true });
}
