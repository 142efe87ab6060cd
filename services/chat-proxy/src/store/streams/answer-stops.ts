import type { Mongo } from '@tollgate/mongo-kit';
import type { ChatflowId, HoldId, SessionId } from '../../domain/wire-types.ts';
import type { AnswerStops } from '../../ports.ts';
import { ownedBy } from './owned.ts';

/** A row of the journal: every answer with a hold has one until it is settled. */
interface Row {
  readonly _id: HoldId;
  readonly instance: string;
  readonly state: string;
  readonly stop_at?: Date;
}

interface SessionRow {
  readonly _id: SessionId;
  readonly chatflow_id: ChatflowId;
  readonly alias?: SessionId;
  readonly lease_id?: HoldId;
  readonly lease_until?: Date;
}

/** The wish to end an answer is written into its journal row, where its process looks. */
export function answerStopsIn(mongo: Mongo, instance: string, defaultWorkspaceId: string): AnswerStops {
  const rows = () => mongo.collection<Row>('open_holds');
  const sessions = () => mongo.collection<SessionRow>('sessions');

  return {
    request: (owner, which, now) =>
      mongo.run(async () => {
        const owned = ownedBy(owner, defaultWorkspaceId);
        const session =
          'sessionId' in which &&
          (await sessions().findOne({
            ...owned,
            $or: [{ _id: which.sessionId }, { alias: which.sessionId }],
            chatflow_id: which.chatflowId,
            lease_until: { $gt: now },
          }));
        const requestId = 'requestId' in which ? which.requestId : session ? session.lease_id : undefined;
        if (requestId === undefined) return false;
        const { matchedCount } = await rows().updateOne(
          { _id: requestId, ...owned, state: 'open' },
          { $set: { stop_at: now } },
        );
        return matchedCount > 0;
      }),

    wanted: () =>
      mongo.run(async () => {
        const found = await rows()
          .find({ instance, state: 'open', stop_at: { $exists: true } }, { projection: { _id: 1 } })
          .toArray();
        return found.map(({ _id }) => _id);
      }),
  };
}
