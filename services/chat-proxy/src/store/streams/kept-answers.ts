import type { Mongo } from '@tollgate/mongo-kit';
import type { HoldId, SessionId, UserId } from '../../domain/wire-types.ts';
import type { KeptAnswers } from '../../ports.ts';

/** What is read here of rows of other stores. */
interface Row {
  readonly _id: HoldId;
  readonly user_id: UserId;
  readonly session_id: SessionId;
  readonly request_id: HoldId | null;
}

export function keptAnswersIn(mongo: Mongo): KeptAnswers {
  const rows = (collection: string) => mongo.collection<Row>(collection);

  /** Parts first: without them there is nothing to be read. */
  async function forget(requestIds: readonly HoldId[]): Promise<void> {
    if (requestIds.length === 0) return;
    await rows('answer_parts').deleteMany({ request_id: { $in: [...requestIds] } });
    await rows('answer_recordings').deleteMany({ _id: { $in: [...requestIds] } });
  }

  return {
    forgetOf: (sessions) =>
      mongo.run(async () => {
        const answers = { session_id: { $in: sessions.map(({ id }) => id) }, role: 'assistant' };
        const found = await rows('messages')
          .find(answers, { projection: { request_id: 1 } })
          .toArray();
        await forget(found.flatMap(({ request_id: id }) => id ?? []));
      }),

    forgetUser: (userId) =>
      mongo.run(async () => {
        const own = await rows('answer_recordings')
          .find({ user_id: userId }, { projection: { _id: 1 } })
          .toArray();
        await forget(own.map(({ _id }) => _id));
      }),
  };
}
