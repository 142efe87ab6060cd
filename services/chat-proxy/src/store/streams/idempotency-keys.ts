import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { HoldId } from '../../domain/wire-types.ts';
import type { IdempotencyKeys, KeyRow } from '../../ports.ts';

interface Row {
  readonly _id: string;
  readonly fingerprint: string;
  readonly request_id: HoldId;
  /** The process that answers. */
  readonly instance: string;
  readonly state: 'running' | 'done';
  readonly created_at: Date;
  readonly expires_at: Date;
}

export function idempotencyKeysIn(mongo: Mongo, instance: string): IdempotencyKeys {
  const rows = () => mongo.collection<Row>('idempotency_keys');

  async function claim(row: KeyRow, now: Date): ReturnType<IdempotencyKeys['claim']> {
    const wanted = columnsOf(row, instance);
    try {
      await rows().insertOne({ _id: row.id, ...wanted });
      return 'claimed';
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
    const expired = { _id: row.id, expires_at: { $lte: now } };
    if ((await rows().updateOne(expired, { $set: wanted })).modifiedCount > 0) return 'claimed';
    const found = await rows().findOne({ _id: row.id });
    // Released in between: whoever released it has left nothing, so that this one may begin anew.
    return found ? foundOf(found) : claim(row, now);
  }

  return {
    claim: (row, now) => mongo.run(() => claim(row, now)),

    takeOver: (row, from) =>
      mongo.run(async () => {
        const { modifiedCount } = await rows().updateOne(
          { _id: row.id, request_id: from, state: 'running' },
          { $set: columnsOf(row, instance) },
        );
        return modifiedCount > 0;
      }),

    finish: (id, requestId) =>
      mongo.run(async () => {
        await rows().updateOne({ _id: id, request_id: requestId }, { $set: { state: 'done' } });
      }),

    release: (id, requestId) =>
      mongo.run(async () => {
        await rows().deleteOne({ _id: id, request_id: requestId, state: 'running' });
      }),
  };
}

const columnsOf = ({ fingerprint, requestId, createdAt, expiresAt }: KeyRow, instance: string): Omit<Row, '_id'> => ({
  fingerprint,
  request_id: requestId,
  instance,
  state: 'running',
  created_at: createdAt,
  expires_at: expiresAt,
});

const foundOf = ({ _id, fingerprint, request_id, instance, state, created_at, expires_at }: Row) => ({
  id: _id,
  fingerprint,
  requestId: request_id,
  instance,
  state,
  createdAt: created_at,
  expiresAt: expires_at,
});
