import type { Mongo } from '@tollgate/mongo-kit';
import type { AnswerEvent } from '../../domain/answer.ts';
import type { HoldId, UserId } from '../../domain/wire-types.ts';
import type { RecordedPart, SharedRecordings } from '../../ports.ts';
import { ownedBy, ownerColumns } from './owned.ts';

interface Row {
  readonly _id: HoldId;
  readonly user_id: UserId;
  readonly workspace_id?: string;
  readonly instance: string;
  readonly state: RecordedPart['state'];
  readonly failure?: RecordedPart['failure'];
  readonly followed_until?: Date;
  readonly expires_at: Date;
}

interface PartRow {
  readonly _id: string;
  readonly request_id: HoldId;
  readonly from: number;
  readonly to: number;
  /** As JSON: the text of others must not become field names of ours. */
  readonly events: string;
  readonly expires_at: Date;
}

const MOST_PARTS = 1000;

/** Answers as their owners can read them again: one row each, and their events in parts. */
export function recordingsIn(mongo: Mongo, instance: string, defaultWorkspaceId: string): SharedRecordings {
  const rows = () => mongo.collection<Row>('answer_recordings');
  const partRows = () => mongo.collection<PartRow>('answer_parts');

  async function writeParts(parts: readonly RecordedPart[]): Promise<void> {
    if (parts.length === 0) return;
    // Not inserted: a part whose write was only believed to have failed has grown since.
    const operations = parts.map(partRowOf).map(({ _id, ...columns }) => ({
      replaceOne: { filter: { _id }, replacement: columns, upsert: true },
    }));
    await partRows().bulkWrite(operations, { ordered: false });
  }

  return {
    write: (parts) =>
      mongo.run(async () => {
        await writeParts(parts.filter(({ events }) => events.length > 0));
        // Afterwards: a recording that says it has ended has all of its parts.
        await rows().bulkWrite(
          parts.map(({ requestId, owner, state, failure, expiresAt }) => ({
            updateOne: {
              filter: { _id: requestId },
              update: {
                $set: { state, expires_at: expiresAt, ...(failure && { failure }) },
                $setOnInsert: { ...ownerColumns(owner, defaultWorkspaceId), instance },
              },
              upsert: true,
            },
          })),
          { ordered: false },
        );
      }),

    read: (owner, requestId, after, now) =>
      mongo.run(async () => {
        const own = { _id: requestId, ...ownedBy(owner, defaultWorkspaceId), expires_at: { $gt: now } };
        const row = await rows().findOne(own);
        if (!row) return undefined;
        const parts = await partRows()
          .find({ request_id: requestId, to: { $gt: after } })
          .sort({ to: 1 })
          .limit(MOST_PARTS)
          .toArray();
        const events = parts.flatMap((part) => eventsOf(part).slice(Math.max(0, after + 1 - part.from)));
        const hasMore = parts.length === MOST_PARTS;
        return {
          events,
          state: hasMore ? 'running' : row.state,
          failure: row.failure,
          instance: row.instance,
        };
      }),

    follow: (requestId, until) =>
      mongo.run(async () => {
        await rows().updateOne({ _id: requestId }, { $set: { followed_until: until } });
      }),

    followed: (now) =>
      mongo.run(async () => {
        const found = await rows()
          .find({ instance, followed_until: { $gt: now } }, { projection: { _id: 1 } })
          .toArray();
        return found.map(({ _id }) => _id);
      }),
  };
}

const partRowOf = ({ requestId, from, events, expiresAt }: RecordedPart): PartRow => {
  const to = from + events.length - 1;
  return {
    _id: `${requestId}:${from}`,
    request_id: requestId,
    from,
    to,
    events: JSON.stringify(events),
    expires_at: expiresAt,
  };
};

const eventsOf = ({ events }: PartRow): AnswerEvent[] => JSON.parse(events) as AnswerEvent[]; // written by partRowOf
