import { appendFile, mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Secret } from '@tollgate/config';
import {
  type Books,
  callJson,
  createPostgresDatabase,
  directive,
  eventually,
  mongoDatabaseUrl,
  openBooks,
  Person,
  type Platform,
  startPlatform,
  type TestDatabase,
  type Urls,
} from '@tollgate/test-kit';
import { backUp, type Backup } from '../../scripts/backups/backup.ts';
import { checkBackup, restore } from '../../scripts/backups/restore.ts';
import { type BackupSettings, PARTS } from '../../scripts/backups/settings.ts';
import { indexesOf, rowsOf } from './databases.ts';
import { createStage, type Environments, METRICS, type Stage, startRelays } from './rotation.ts';
import { createTraffic, linkToFile, read } from './traffic.ts';
import { offendersIn } from './verdicts.ts';

/** One platform goes through all of it: it is saved under traffic, put back, and then gets new secrets. */
const KEY = new Secret('the key of a backup in a test, 32 bytes and more');
const LONG = 300_000;

let platform: Platform;
let relays: Awaited<ReturnType<typeof startRelays>>;
let urls: Urls;
let folder: string;
let database: TestDatabase;
let books: Books;
let settings: BackupSettings;
let backup: Backup;
let alice: Person;
let bob: Person;
/** Works while the copy is taken, and is revoked after it, so that the copy does not know of it. */
let revoked: { access: string; refresh: string; apiKey: string };
let stage: Stage | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-backup-'));
  relays = await startRelays();
  [platform, database] = await Promise.all([startPlatform(relays.env), createPostgresDatabase()]);
  relays.lead(platform.environments);
  const { auth, accounting, chatProxy } = relays.relays;
  urls = { auth: auth.url, accounting: accounting.url, chatProxy: chatProxy.url };
  books = openBooks(database.url);
  [alice, bob] = await Promise.all([platform.user({ credits: 100_000 }), platform.user({ credits: 1000 })]);
  revoked = { access: bob.accessToken, refresh: bob.refreshToken, apiKey: await apiKeyOf(bob) };
  settings = settingsOf(platform.database.url, platform.environments);
}, LONG);
afterAll(async () => {
  await books.close();
  await stage?.stop();
  await relays.stop();
  await platform.stop();
  await database.drop();
  await rm(folder, { recursive: true });
}, LONG);

const settingsOf = (
  ownerUrl: string,
  { auth, chatProxy }: Pick<Environments, 'auth' | 'chatProxy'>,
  serviceUrl?: string,
): BackupSettings => ({
  postgres: { ownerUrl, serviceRole: serviceUrl === undefined ? undefined : new URL(serviceUrl).username },
  mongo: { auth: String(auth['MONGODB_URI']), 'chat-proxy': String(chatProxy['MONGODB_URI']) },
  key: KEY,
  programs: undefined,
});

async function apiKeyOf(person: Person): Promise<string> {
  const wanted = { name: 'ci', scopes: ['chat:use'], currentPassword: person.password };
  return (await person.auth<{ key: string }>('POST', '/api/api-keys', wanted)).body.key;
}

const ask = (person: Person, question: string) => person.chat({ question, chatflow_id: platform.chatflows.priced });

it(
  'saves all databases while answers run, in files that only their owner reads',
  async () => {
    const stuck = await ask(bob, directive({ tokens: 200, hangAfter: 20 }));
    await stuck.until('token', 20);
    await platform.untilCheckpoint(bob.userId, 20);
    let isOver = false;
    const traffic = (async () => {
      let answers = 0;
      while (!isOver) {
        const { status } = await (await ask(alice, directive({ tokens: 1 }))).toEnd();
        if (status !== 200) throw new Error(`an answer during the backup: ${status}`);
        answers += 1;
      }
      return answers;
    })();
    backup = await backUp(settings, folder, new Date()).finally(() => {
      isOver = true;
      stuck.hangUp();
    });
    expect(await traffic).toBeGreaterThan(0);
    expect(await readdir(folder)).toEqual([backup.manifest.id]);
    for (const path of await readdir(backup.folder, { recursive: true })) {
      const { mode } = await stat(join(backup.folder, path));
      expect((mode & 0o777).toString(8)).toMatch(/^[67]00$/);
    }
    expect(backup.manifest.parts.accounting.books.openHolds).toBeGreaterThanOrEqual(1);
  },
  LONG,
);

describe('a saved platform, put back into new databases', () => {
  const mongo = { auth: mongoDatabaseUrl(), chatProxy: mongoDatabaseUrl() };
  let copy: BackupSettings;
  let environments: Environments;

  beforeAll(async () => {
    await platform.untilNoOpenHold(bob.userId);
    expect((await bob.auth('POST', '/api/auth/logout-all')).status).toBeLessThan(300);
    // The old services end: they would go on with what the new ones now own.
    const { auth, accounting, chatProxy } = platform;
    await Promise.all([auth, accounting, chatProxy].map((service) => service.end('SIGTERM')));
    const { environments: old } = platform;
    const { env } = relays;
    const postgres = { DATABASE_URL: database.serviceUrl, DATABASE_OWNER_URL: database.url };
    environments = {
      auth: { ...old.auth, ...env.auth, MONGODB_URI: mongo.auth },
      chatProxy: { ...old.chatProxy, ...env.chatProxy, MONGODB_URI: mongo.chatProxy },
      accounting: {
        ...old.accounting,
        ...env.accounting,
        ...postgres,
        SWEEP_START_DELAY: '0s',
        SWEEP_INTERVAL: '500ms',
      },
    };
    copy = settingsOf(database.url, environments, database.serviceUrl);
  }, LONG);

  const options = { parts: PARTS, force: false, keepsApiKeys: false };

  it('is refused whole when one file was changed, or the key is another one, and nothing is written', async () => {
    const { path, bytes } = backup.manifest.parts.accounting.file;
    const file = join(backup.folder, path);
    const now = new Date();
    await appendFile(file, 'x');
    await expect(restore(copy, backup.folder, { ...options, now })).rejects.toThrow(
      'accounting.dump.sealed is missing',
    );
    await truncate(file, bytes);
    await expect(checkBackup(backup.folder, undefined)).rejects.toThrow('encrypted');
    const wrong = { ...copy, key: new Secret('the key of another backup, also 32 bytes and more') };
    await expect(restore(wrong, backup.folder, { ...options, now })).rejects.toThrow(
      'does not open with this BACKUP_KEY',
    );
    expect(await books.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).toEqual([]);
  });

  it(
    'has the same books, indexes and triggers, chains that verify, and refuses to be put over something',
    async () => {
      // The connection that looked counts as one that uses the database.
      await books.close();
      const { ended } = await restore(copy, backup.folder, { ...options, now: new Date() });
      books = openBooks(database.url);
      expect(ended?.apiKeys).toBe(1);
      const [key] = await rowsOf(copy.mongo.auth, 'api_keys');
      expect(Number(key?.['limitsRevision'])).toBeGreaterThanOrEqual(Number(key?.['endedAt']) / 1000 - 1);
      expect(await indexesOf(copy.mongo)).toEqual(await indexesOf(settings.mongo));
      const triggers = 'SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2';
      expect(await books.query(triggers)).toEqual(await platform.books.query(triggers));
      expect(await offendersIn(environments)).toEqual([]);
      const again = restore(copy, backup.folder, { ...options, parts: ['auth'], now: new Date() });
      await expect(again).rejects.toThrow('not empty');
    },
    LONG,
  );

  it(
    'works: open holds end with their lease, logins and answers go on, and what was revoked stays so',
    async () => {
      // As if its lease had run out while nothing ran.
      await books.query(`CREATE OR REPLACE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE
        RETURN clock_timestamp() + interval '61 seconds'`);
      stage = createStage(environments, relays);
      await stage.start();
      await eventually(async () => ((await books.openHolds()) === 0 ? true : undefined), 'the open holds to end');
      expect(await books.sumOfAllEntries()).toBe(0);
      // The answer that was under way was charged what its last checkpoint says.
      expect(await books.ofUser(bob.userId)).toMatchObject({ available: 980, charged: 20, terminalHolds: 1 });
      const { refresh: refreshToken } = revoked;
      const refreshed = await callJson('POST', `${urls.auth}/api/auth/refresh`, { body: { refreshToken } });
      expect(refreshed.status).toBe(401);
      const refused = (url: string, token: string) =>
        eventually(async () => ((await read(url, token)).status === 401 ? true : undefined), `${url} to refuse`);
      for (const token of [revoked.access, revoked.apiKey]) {
        await refused(`${urls.chatProxy}/api/v1/chat/sessions`, token);
        await refused(`${urls.accounting}/api/credits/balance`, token);
      }
      await refused(`${urls.auth}/api/profile`, revoked.access);
      alice = await new Person(alice, urls).logIn();
      const before = await alice.balance();
      await (await ask(alice, directive({ tokens: 3 }))).toEnd();
      await eventually(async () => ((await alice.balance()) === before - 3 ? true : undefined), 'the charge');
    },
    LONG,
  );
});

async function conversationWithFile({ accessToken: token }: Person): Promise<string> {
  const data = `data:text/plain;base64,${Buffer.from('kept\n').toString('base64')}`;
  const uploads = [{ type: 'file', name: 'note.txt', mime: 'text/plain', data }];
  const asked = await fetch(`${urls.chatProxy}/api/v1/chat/predict/stream/store`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ question: 'what does it say?', chatflow_id: platform.chatflows.chain, uploads }),
  });
  await asked.text();
  expect(asked.status).toBe(200);
  const url = `${urls.chatProxy}/api/v1/chat/sessions`;
  const { body } = await callJson<{ sessions: Record<string, string>[] }>('GET', url, { token });
  return String(body.sessions.find(({ topic }) => topic === 'what does it say?')?.['session_id']);
}

it(
  'gets every secret replaced under traffic, process by process: no call fails and nobody is logged out',
  async () => {
    if (!stage) throw new Error('the platform was not put back');
    const { accessToken, refreshToken } = alice;
    const [apiKey, sessionId] = [await apiKeyOf(alice), await conversationWithFile(alice)];
    const traffic = createTraffic({ person: alice, urls, chatflow: platform.chatflows.priced, apiKey, sessionId });
    const link = await linkToFile(urls, accessToken, sessionId);
    expect((await read(urls.chatProxy + link)).status).toBe(200);

    await stage.go('first', traffic.during);
    // What the old keys have made still counts.
    expect((await read(`${urls.accounting}/api/credits/balance`, accessToken)).status).toBe(200);
    expect((await read(urls.chatProxy + link)).status).toBe(200);
    expect((await read(`${urls.auth}/metrics`, METRICS.old)).status).toBe(200);
    await stage.go('alone', traffic.during);

    expect(traffic.failures).toEqual([]);
    expect(traffic.calls()).toBeGreaterThan(6 * 10);
    // And now no longer, anywhere.
    const own = [
      `${urls.auth}/api/profile`,
      `${urls.accounting}/api/credits/balance`,
      `${urls.chatProxy}/api/v1/chat/sessions`,
    ];
    for (const url of own) expect((await read(url, accessToken)).status).toBe(401);
    const refreshed = await callJson('POST', `${urls.auth}/api/auth/refresh`, { body: { refreshToken } });
    expect(refreshed.status).toBe(401);
    expect((await read(urls.chatProxy + link)).status).toBe(404);
    for (const url of Object.values(urls)) expect((await read(`${url}/metrics`, METRICS.old)).status).toBe(404);
    // The past is proven with the keys that made it, which stay listed.
    expect(await offendersIn({ auth: stage.environment('auth'), accounting: stage.environment('accounting') })).toEqual(
      [],
    );
  },
  LONG,
);
