import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Mongo, openMongo, runMigrations } from '@tollgate/mongo-kit';
import { mongoDatabaseUrl, newUserId } from '@tollgate/test-kit';
import type { ChatflowId, HoldId, SessionId, UserId } from '../../src/domain/wire-types.ts';
import type { Owner, Session, SessionClaim, Sessions } from '../../src/ports.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { sessionsIn } from '../../src/store/sessions.ts';

const NOW = new Date('2030-01-01T00:00:00Z');

let mongo: Mongo;
beforeAll(async () => {
  mongo = openMongo({ url: mongoDatabaseUrl(), defaultDatabase: 'unused' });
  await mongo.connected;
  await runMigrations(mongo.db(), MIGRATIONS);
});
afterAll(() => mongo.close());

const person = (workspaceId?: string): Owner => ({
  userId: newUserId() as UserId,
  ...(workspaceId !== undefined && { workspaceId }),
});
const sessionId = () => randomUUID() as SessionId;
const claimOf = (id: SessionId, owner: Owner) => ({
  id,
  owner,
  chatflowId: 'flow' as ChatflowId,
  lease: { id: randomUUID() as HoldId, until: new Date(NOW.getTime() + 60_000) },
  now: NOW,
  forgetAt: new Date(NOW.getTime() + 1),
});
/** Opens it, and stores two messages in it. */
async function keep(sessions: Sessions, claim: SessionClaim): Promise<Session> {
  const claimed = await sessions.claim(claim);
  if (typeof claimed === 'string' || !('session' in claimed)) throw new Error('not claimed');
  const { id, upstreamMemoryId } = claimed.session;
  await sessions.release({ id, upstreamMemoryId, leaseId: claim.lease.id, discard: false, stored });
  return claimed.session;
}
const stored = { beginning: { topic: 'topic', firstMessage: 'first' }, at: NOW, messages: 2 };

describe('a session', () => {
  it('stays in its workspace: from another one its owner neither finds, lists, continues nor deletes it', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const there = person('w-1');
    const elsewhere = [
      { ...there, workspaceId: 'w-2' },
      { ...there, workspaceId: 'default' },
      { userId: there.userId },
    ];
    const claim = claimOf(sessionId(), there);
    await keep(sessions, claim);
    for (const owner of elsewhere) {
      expect(await sessions.claim(claimOf(claim.id, owner))).toBe('not-found');
      expect(await sessions.find(owner, claim.id)).toBeUndefined();
      expect((await sessions.list(owner, { limit: 10 })).sessions).toEqual([]);
      expect(await sessions.findAny(owner, claim.id)).toBeUndefined();
      expect(await sessions.rename(owner, claim.id, 'mine')).toBeUndefined();
      expect(await sessions.some(owner, 10)).toEqual([]);
    }
    expect(await sessions.find(there, claim.id)).toMatchObject({ id: claim.id });
    expect((await sessions.list(there, { limit: 10 })).sessions).toHaveLength(1);
  });

  it('shows nothing of another workspace by a cursor that was made there, or by hand', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const [here, there] = [person('w-1'), person('w-1')];
    const elsewhere = { ...there, workspaceId: 'w-2' };
    for (const owner of [here, there, there, elsewhere]) {
      const claim = claimOf(sessionId(), owner);
      await keep(sessions, claim);
    }
    const { nextCursor } = await sessions.list(there, { limit: 1 });
    const forged = [nextCursor ?? '', Buffer.from(`${NOW.getTime() + 1_000_000} 0`).toString('base64url')];
    for (const cursor of forged) {
      const seen = (await sessions.list(elsewhere, { limit: 100, cursor })).sessions;
      expect(seen.filter(({ userId: of }) => of !== elsewhere.userId)).toEqual([]);
      expect(seen.length).toBeLessThanOrEqual(1);
    }
  });

  it('of the time before workspaces is one of the default workspace', async () => {
    const sessions = sessionsIn(mongo, 'default');
    const owner = person();
    const claim = claimOf(sessionId(), owner);
    await keep(sessions, claim);
    expect(
      await mongo.collection('sessions').countDocuments({ user_id: owner.userId, workspace_id: { $exists: false } }),
    ).toBe(1);
    expect(await sessions.find({ ...owner, workspaceId: 'default' }, claim.id)).toMatchObject({ id: claim.id });
    expect(await sessions.find({ ...owner, workspaceId: 'w-1' }, claim.id)).toBeUndefined();
  });
});
