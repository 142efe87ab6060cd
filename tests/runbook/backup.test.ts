import { appendFile, mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Secret } from '@tollgate/config';
import { type Db, MongoClient } from 'mongodb';
import {
  callJson,
  createPostgresDatabase,
  directive,
  eventually,
  mongoDatabaseUrl,
  openBooks,
  type Person,
  type Platform,
  ServiceProcess,
  startPlatform,
  type TestDatabase,
} from '@tollgate/test-kit';
import { backUp, type Backup } from '../../scripts/backups/backup.ts';
import { checkBackup, restore } from '../../scripts/backups/restore.ts';
import { type BackupSettings, PARTS } from '../../scripts/backups/settings.ts';
import { createAuditor as createLedgerAuditor } from '../../services/accounting/src/audit-deps.ts';
import { readAccountingConfig } from '../../services/accounting/src/config.ts';
import { createAuditor as createAuditLogAuditor } from '../../services/auth/src/audit-deps.ts';
import { readAuthConfig } from '../../services/auth/src/config.ts';

const LEASE_SECONDS = 2;
const KEY = new Secret('the key of a backup in a test, 32 bytes and more');

let platform: Platform;
let folder: string;
let database: TestDatabase;
let settings: BackupSettings;
let backup: Backup;
let alice: Person;
let bob: Person;
/** Works while the copy is taken, and is revoked after it, so that the copy does not know of it. */
let revoked: { access: string; refresh: string; apiKey: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-backup-'));
  [platform, database] = await Promise.all([startPlatform({ leaseSeconds: LEASE_SECONDS }), createPostgresDatabase()]);
  [alice, bob] = await Promise.all([platform.user({ credits: 10_000 }), platform.user({ credits: 1000 })]);
  const scopes = { name: 'ci', scopes: ['chat:use'], currentPassword: bob.password };
  const { body } = await bob.auth<{ key: string }>('POST', '/api/api-keys', scopes);
  revoked = { access: bob.accessToken, refresh: bob.refreshToken, apiKey: body.key };
  settings = settingsOf(platform.database.url, platform.environments);
}, 120_000);
afterAll(async () => {
  await platform.stop();
  await database.drop();
  await rm(folder, { recursive: true });
});

const settingsOf = (
  ownerUrl: string,
  { auth, chatProxy }: Pick<Platform['environments'], 'auth' | 'chatProxy'>,
  serviceUrl?: string,
): BackupSettings => ({
  postgres: { ownerUrl, serviceRole: serviceUrl === undefined ? undefined : new URL(serviceUrl).username },
  mongo: { auth: String(auth['MONGODB_URI']), 'chat-proxy': String(chatProxy['MONGODB_URI']) },
  key: KEY,
  programs: undefined,
});

const rowsOf = (url: string, collection: string) => onDatabase(url, (db) => db.collection(collection).find().toArray());

/** By collection, without what a server adds of its own. */
const indexesOf = (urls: BackupSettings['mongo']) =>
  Promise.all(
    Object.values(urls).map((url) =>
      onDatabase(url, async (db) => {
        const names = (await db.listCollections().toArray()).map(({ name }) => name).sort();
        return Promise.all(names.map(async (name) => [name, await db.collection(name).listIndexes().toArray()]));
      }),
    ),
  );

async function onDatabase<T>(url: string, look: (db: Db) => Promise<T>): Promise<T> {
  const client = await MongoClient.connect(url);
  try {
    return await look(client.db());
  } finally {
    await client.close();
  }
}

const ask = (person: Person, question: string) => person.chat({ question, chatflow_id: platform.chatflows.priced });

it('saves all databases while answers run, in files that only their owner reads and that hold nothing in the open', async () => {
  const stuck = await ask(bob, directive({ tokens: 200, hangAfter: 20 }));
  await stuck.until('token', 20);
  await platform.untilCheckpoint(bob.userId, 20);
  const isOver = { value: false };
  const traffic = (async () => {
    let answers = 0;
    while (!isOver.value) {
      const { status } = await (await ask(alice, directive({ tokens: 1 }))).toEnd();
      if (status !== 200) throw new Error(`an answer during the backup: ${status}`);
      answers += 1;
    }
    return answers;
  })();
  backup = await backUp(settings, folder, new Date()).finally(() => {
    isOver.value = true;
    stuck.hangUp();
  });
  expect(await traffic).toBeGreaterThan(0);
  expect(await readdir(folder)).toEqual([backup.manifest.id]);
  for (const path of await readdir(backup.folder, { recursive: true })) {
    const { mode } = await stat(join(backup.folder, path));
    expect((mode & 0o777).toString(8)).toMatch(/^[67]00$/);
  }
  expect(backup.manifest.parts.accounting.books.openHolds).toBeGreaterThanOrEqual(1);
}, 60_000);

describe('a saved platform, put back into new databases', () => {
  const mongo = { auth: mongoDatabaseUrl(), chatProxy: mongoDatabaseUrl() };
  let copy: BackupSettings;
  let environments: Record<'auth' | 'accounting' | 'chatProxy', Record<string, string>>;
  let urls: Platform['urls'];

  beforeAll(async () => {
    await platform.untilNoOpenHold(bob.userId);
    expect((await bob.auth('POST', '/api/auth/logout-all')).status).toBeLessThan(300);
    // The old services end: they would go on with what the new ones now own.
    const { auth, accounting, chatProxy } = platform;
    await Promise.all([auth, accounting, chatProxy].map((service) => service.end('SIGTERM')));
    environments = {
      auth: { ...platform.environments.auth, MONGODB_URI: mongo.auth },
      chatProxy: { ...platform.environments.chatProxy, MONGODB_URI: mongo.chatProxy },
      accounting: {
        ...platform.environments.accounting,
        DATABASE_URL: database.serviceUrl,
        DATABASE_OWNER_URL: database.url,
      },
    };
    copy = settingsOf(database.url, environments, database.serviceUrl);
    urls = platform.urls;
  });

  it('is refused whole when one file was changed, or the key is another one, and nothing is written', async () => {
    const file = join(backup.folder, backup.manifest.parts.accounting.file.path);
    const options = { parts: PARTS, force: false, keepsApiKeys: false, now: new Date() };
    await appendFile(file, 'x');
    await expect(restore(copy, backup.folder, options)).rejects.toThrow('accounting.dump.sealed is missing, or is not');
    await truncate(file, backup.manifest.parts.accounting.file.bytes);
    await expect(checkBackup(backup.folder, undefined)).rejects.toThrow('encrypted');
    const wrong = { ...copy, key: new Secret('the key of another backup, also 32 bytes and more') };
    await expect(restore(wrong, backup.folder, options)).rejects.toThrow('does not open with this BACKUP_KEY');
    const books = openBooks(database.url);
    const [found] = await books.query<{ tables: string }>(
      "SELECT count(*) AS tables FROM pg_tables WHERE schemaname = 'public'",
    );
    await books.close();
    expect(Number(found?.tables)).toBe(0);
  });

  it('has the same books, chains that verify, and refuses to be put over something', async () => {
    const options = { parts: PARTS, force: false, keepsApiKeys: false, now: new Date() };
    const { ended } = await restore(copy, backup.folder, options);
    expect(ended?.apiKeys).toBe(1);
    const [key] = await rowsOf(copy.mongo.auth, 'api_keys');
    expect(Number(key?.['limitsRevision'])).toBeGreaterThanOrEqual(Number(key?.['endedAt']) / 1000 - 1);
    expect(await indexesOf(copy.mongo)).toEqual(await indexesOf(settings.mongo));
    await expect(restore(copy, backup.folder, options)).rejects.toThrow('not empty');
    const ledger = createLedgerAuditor(readAccountingConfig(environments.accounting));
    const auditLog = await createAuditLogAuditor(readAuthConfig(environments.auth));
    try {
      const report = await ledger.verify({});
      expect(report.checks.filter(({ offenders }) => offenders > 0)).toEqual([]);
      expect(await auditLog.verify({})).toMatchObject({ ok: true, offenders: 0 });
    } finally {
      await Promise.all([ledger.close(), auditLog.close()]);
    }
  });

  it('works: its open holds end with their lease, logins and answers go on, and what was revoked stays so', async () => {
    const { auth, accounting, chatProxy } = environments;
    const service = (name: ServiceProcess['name'], env: Record<string, string>) =>
      new ServiceProcess({ name: name as 'auth', port: Number(env['PORT']), env });
    const services = [service('auth', auth), service('accounting', accounting), service('chat-proxy', chatProxy)];
    const books = openBooks(database.url);
    try {
      await Promise.all(services.map((each) => each.start()));
      await eventually(async () => ((await books.openHolds()) === 0 ? true : undefined), 'the open holds to end');
      expect(await books.sumOfAllEntries()).toBe(0);
      // The answer that was under way was charged what its last checkpoint says.
      expect(await books.ofUser(bob.userId)).toMatchObject({ available: 980, charged: 20, terminalHolds: 1 });
      await alice.logIn();
      const before = await alice.balance();
      expect((await (await ask(alice, directive({ tokens: 3 }))).toEnd()).status).toBe(200);
      await eventually(
        async () => ((await alice.balance()) === before - 3 ? true : undefined),
        'the answer to be charged',
      );
      const refreshed = await callJson('POST', `${urls.auth}/api/auth/refresh`, {
        body: { refreshToken: revoked.refresh },
      });
      expect(refreshed.status).toBe(401);
      const refused = async (url: string, token: string) =>
        eventually(
          async () => ((await callJson('GET', url, { token })).status === 401 ? true : undefined),
          `${url} to refuse`,
        );
      for (const token of [revoked.access, revoked.apiKey]) {
        await refused(`${urls.chatProxy}/api/v1/chat/sessions`, token);
        await refused(`${urls.accounting}/api/credits/balance`, token);
      }
      await refused(`${urls.auth}/api/profile`, revoked.access);
      const [schema] = await books.query<{ triggers: string }>(
        'SELECT count(*) AS triggers FROM pg_trigger WHERE NOT tgisinternal',
      );
      const [saved] = await platform.books.query<{ triggers: string }>(
        'SELECT count(*) AS triggers FROM pg_trigger WHERE NOT tgisinternal',
      );
      expect(schema).toEqual(saved);
    } finally {
      await books.close();
      await Promise.all(services.map((each) => each.end('SIGTERM')));
    }
  }, 60_000);
});
