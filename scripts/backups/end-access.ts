import { withDatabase } from './mongo-dump.ts';

const MILLISECONDS = 1000;

/** What was ended in a restored database of auth. */
export interface EndedAccess {
  readonly accounts: number;
  readonly sessions: number;
  readonly apiKeys: number;
}

/**
 * An older copy of auth knows nothing of what was revoked since: every session, access token, code and, unless they are kept,
 * API key of it ends, before a service reads it. What it counts goes on above every number that was given out meanwhile.
 */
export function endAccess(url: string, now: Date, { keepsApiKeys }: { keepsApiKeys: boolean }): Promise<EndedAccess> {
  return withDatabase('auth', url, async (db) => {
    const [users, sessions, keys] = ['users', 'sessions', 'api_keys'].map((name) => db.collection(name));
    if (!users || !sessions || !keys) throw new TypeError('three collections were named');
    // Above every version that was given out after the copy was taken, whatever it was, and above that of any earlier restore.
    const version = Math.floor(now.getTime() / MILLISECONDS);
    // The services are told of a new version by auth, which finds it by its time.
    const accounts = await users.updateMany(
      { status: { $ne: 'deleted' } },
      { $set: { tokenVersion: version, updatedAt: now } },
    );
    const ended = await sessions.updateMany(
      { revokedAt: { $exists: false } },
      { $set: { revokedAt: now, endReason: 'signed-out' } },
    );
    // Accounting keeps the newest version that it was told: an older one of the copy would be passed over for ever.
    await db.collection('memberships').updateMany({}, { $set: { version, changedAt: now } });
    await keys.updateMany({}, { $set: { limitsRevision: version } });
    for (const spent of ['challenges', 'mailed_codes']) await db.collection(spent).deleteMany({});
    const disabled = keepsApiKeys
      ? undefined
      : await keys.updateMany({ disabledBy: { $exists: false } }, { $set: { disabledBy: 'owner', endedAt: now } });
    return { accounts: accounts.modifiedCount, sessions: ended.modifiedCount, apiKeys: disabled?.modifiedCount ?? 0 };
  });
}
