import type { Mongo } from '@tollgate/mongo-kit';
import type { HoldId, SessionId, UserId } from '../domain/wire-types.ts';
import type { Traces } from '../ports.ts';

/** What is read here of rows of other stores. */
interface Trace {
  readonly _id: HoldId;
  readonly user_id: UserId;
  readonly session_id: SessionId;
  readonly request_id: HoldId | null;
  /** Who left a lead. */
  readonly owner: string;
}

export function tracesIn(mongo: Mongo): Traces {
  const rows = (collection: string) => mongo.collection<Trace>(collection);

  /** Parts first: without them nobody reads anything in a recording. */
  async function forgetAnswers(requestIds: readonly HoldId[]): Promise<void> {
    if (requestIds.length === 0) return;
    await rows('answer_parts').deleteMany({ request_id: { $in: [...requestIds] } });
    await rows('answer_recordings').deleteMany({ _id: { $in: [...requestIds] } });
  }

  return {
    ofSessions: (sessions) =>
      mongo.run(async () => {
        const ofThem = { session_id: { $in: sessions.map(({ id }) => id) } };
        const answers = rows('messages').find({ ...ofThem, role: 'assistant' }, { projection: { request_id: 1 } });
        await forgetAnswers((await answers.toArray()).flatMap(({ request_id: id }) => id ?? []));
        await rows('message_feedback').deleteMany(ofThem);
      }),

    ofUser: (userId) =>
      mongo.run(async () => {
        const own = rows('answer_recordings').find({ user_id: userId }, { projection: { _id: 1 } });
        await forgetAnswers((await own.toArray()).map(({ _id }) => _id));
        await rows('message_feedback').deleteMany({ user_id: userId });
        await rows('leads').deleteMany({ owner: userId });
      }),
  };
}
