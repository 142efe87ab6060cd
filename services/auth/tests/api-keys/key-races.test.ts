import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { UserId } from '@tollgate/contracts';
import { openMongo } from '@tollgate/mongo-kit';
import { createKeySecrets } from '../../src/clients/key-secrets.ts';
import type { ApiKey } from '../../src/domain/api-key.ts';
import { createApiKeys } from '../../src/store/api-keys.ts';
import { Auth, times } from '../auth.ts';
import { Keys } from './keys.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2030, 0, 1);

let auth: Auth;
let keys: Keys;
beforeAll(async () => {
  auth = await Auth.start();
  keys = new Keys(auth);
});
afterAll(() => auth.stop());

const secrets = createKeySecrets();

function newKey(userId: UserId, lifeMs = DAY): ApiKey {
  const id = secrets.id();
  return {
    id,
    userId,
    workspaceId: 'default',
    name: 'ci',
    scopes: ['chat:use'],
    secretHash: secrets.create(id).hash,
    lifeMs,
    createdAt: new Date(NOW),
    expiresAt: new Date(NOW + lifeMs),
    limitsRevision: 0,
  };
}

/** Two instances of the service on one database, as far as keys are concerned. */
async function twoStores() {
  const mongos = [0, 1].map(() => openMongo({ url: auth.env['MONGODB_URI'] ?? '', defaultDatabase: 'x' }));
  await Promise.all(mongos.map(({ connected }) => connected));
  const [one, other] = mongos.map(({ connection }) => createApiKeys(connection));
  if (!one || !other) throw new Error('two were opened');
  return { one, other, close: () => Promise.all(mongos.map((mongo) => mongo.close())) };
}

describe('50 keys made at the same time, at two instances', () => {
  it('of a user who has 45 are 5, and expired ones make room for new ones', async () => {
    const { one, other, close } = await twoStores();
    try {
      const userId = UserId.parse(randomBytes(12).toString('hex'));
      const now = new Date(NOW);
      expect(await times(45, () => one.insert(newKey(userId), now))).not.toContain(false);
      const outcomes = await times(50, (index) => (index % 2 === 0 ? one : other).insert(newKey(userId, 2 * DAY), now));
      expect(outcomes.filter(Boolean)).toHaveLength(5);
      expect(await one.listOf(userId)).toHaveLength(50);
      expect(await other.insert(newKey(userId), new Date(NOW + DAY - 1))).toBe(false);
      expect(await other.insert(newKey(userId, 3 * DAY), new Date(NOW + DAY))).toBe(true);
      expect(await one.listOf(userId)).toHaveLength(6);
    } finally {
      await close();
    }
  });
});

describe('20 rotations of a key at the same time', () => {
  it('change it once, at two instances', async () => {
    const { one, other, close } = await twoStores();
    try {
      const key = newKey(UserId.parse(randomBytes(12).toString('hex')));
      await one.insert(key, new Date(NOW));
      const outcomes = await times(20, (index) =>
        (index % 2 === 0 ? one : other).rotate(key, {
          secretHash: secrets.create(key.id).hash,
          overlapUntil: new Date(NOW + 1000),
          expiresAt: key.expiresAt,
        }),
      );
      const [winner, ...others] = outcomes.flatMap((outcome) => outcome ?? []);
      expect(others).toEqual([]);
      expect(await one.find(key.id)).toEqual(winner);
      expect(winner?.previous?.secretHash).toBe(key.secretHash);
    } finally {
      await close();
    }
  });

  it('leave two secrets that work, and each is counted or refused as a conflict', async () => {
    const alice = await auth.loggedIn();
    const { id, text } = await keys.made(alice);
    const answers = await times(20, () => keys.rotate(alice, id, 3600));
    const given = answers.filter(({ status }) => status === 200).map(({ body }) => body.key);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(20 - given.length);
    const working = await Promise.all([text, ...given].map(async (key) => (await keys.use(key)) === 200));
    expect(working.filter(Boolean)).toHaveLength(2);
    expect(await auth.auditOf('api-key.rotated')).toHaveLength(given.length);
  }, 120_000);
});
