import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { FileId, UserId } from '../../domain/wire-types.ts';
import type { FileQuotas } from '../../ports.ts';

interface Row {
  readonly _id: UserId;
  readonly bytes: number;
  readonly files: number;
  /** Bytes by file: who is in here is counted, whatever else happened. */
  readonly held: Readonly<Record<string, number>>;
}

const MOST_ATTEMPTS = 100;

export function quotasIn(database: Mongo): FileQuotas {
  const rows = () => database.collection<Row>('file_quotas');

  const reserve: FileQuotas['reserve'] = async (userId, id, bytes, quota) => {
    if (bytes > quota.bytes || quota.files < 1) return false;
    const held = `held.${id}`;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await rows().updateOne(
          {
            _id: userId,
            [held]: { $exists: false },
            bytes: { $lte: quota.bytes - bytes },
            files: { $lt: quota.files },
          },
          { $inc: { bytes, files: 1 }, $set: { [held]: bytes } },
          { upsert: true },
        );
        return true;
      } catch (error) {
        // The user's document is there, but does not fit the condition: the insert of the upsert has met it.
        if (!isDuplicate(error)) throw error;
        const row = await rows().findOne({ _id: userId });
        if (row && Object.hasOwn(row.held, id)) return true;
        // Two first files at once: the document has come into being since.
        const fits = row !== null && row.bytes + bytes <= quota.bytes && row.files < quota.files;
        if (!fits || attempt === MOST_ATTEMPTS) return false;
      }
    }
  };

  /** Changes what is held of one file from what it is known to be, until nobody was faster. */
  async function change(userId: UserId, id: FileId, to: (held: number) => number | undefined): Promise<void> {
    const field = `held.${id}`;
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
      const row = await rows().findOne({ _id: userId }, { projection: { [field]: 1 } });
      const before = row?.held?.[id];
      if (before === undefined) return;
      const after = to(before);
      const { matchedCount } = await rows().updateOne(
        { _id: userId, [field]: before },
        after === undefined
          ? { $inc: { bytes: -before, files: -1 }, $unset: { [field]: '' } }
          : { $inc: { bytes: after - before }, $set: { [field]: after } },
      );
      if (matchedCount > 0) return;
    }
  }

  return {
    reserve: (userId, id, bytes, quota) => database.run(() => reserve(userId, id, bytes, quota)),
    shrink: (userId, id, bytes) => database.run(() => change(userId, id, (held) => Math.min(held, bytes))),
    release: (userId, id) => database.run(() => change(userId, id, () => undefined)),
  };
}
