import { randomBytes } from 'node:crypto';
import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { NameKey } from '../../ports.ts';

interface Row {
  readonly _id: string;
  readonly key: string;
}

const NAME = 'session-names';
const KEY_BYTES = 32;

/** A key that is made once and never changes, because conversations are found by it. It lies with them, in the same database. */
export function nameKeyIn(mongo: Mongo): NameKey {
  const rows = () => mongo.collection<Row>('keys');
  const read = async () => {
    const row = await rows().findOneAndUpdate(
      { _id: NAME },
      { $setOnInsert: { key: randomBytes(KEY_BYTES).toString('base64url') } },
      { upsert: true, returnDocument: 'after' },
    );
    if (!row) throw new Error('an upsert that returns the new document returned none');
    return Buffer.from(row.key, 'base64url');
  };

  return {
    read: () =>
      mongo.run(async () => {
        try {
          return await read();
        } catch (error) {
          // Another process made it at the same moment.
          if (!isDuplicate(error)) throw error;
          return read();
        }
      }),
  };
}
