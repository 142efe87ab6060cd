import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { ChatflowId, UserId } from '../../domain/wire-types.ts';
import type { Assignment, Chatflows } from '../../ports.ts';

interface Row {
  readonly user_id: UserId;
  readonly chatflow_id: ChatflowId;
  readonly username: string;
  /** Lower case. */
  readonly email: string;
  readonly active: boolean;
  readonly assigned_at: Date;
}

const MOST_ASSIGNMENTS = 10_000;

/** Who may use which chatflow; ended assignments stay as inactive rows. The caller bounds the time of each operation. */
export function assignmentsIn(mongo: Mongo) {
  const rows = () => mongo.collection<Row>('chatflow_assignments');

  async function assign(
    chatflowId: ChatflowId,
    { userId, username, email }: Omit<Assignment, 'assignedAt'>,
    at: Date,
  ): ReturnType<Chatflows['assign']> {
    const who = { user_id: userId, chatflow_id: chatflowId };
    const person = { username, email: email.toLowerCase() };
    try {
      const before = await rows().findOneAndUpdate(
        { ...who, active: false },
        { $set: { ...person, active: true, assigned_at: at } },
        { upsert: true, returnDocument: 'before' },
      );
      return before ? 'Reactivated' : 'Assigned';
    } catch (error) {
      // An active row is there already, or another administrator was faster by a moment.
      if (!isDuplicate(error)) throw error;
      await rows().updateOne(who, { $set: person });
      return 'No Action';
    }
  }

  return {
    assign,
    has: async (userId: UserId, chatflowId: ChatflowId): Promise<boolean> =>
      (await rows().findOne({ user_id: userId, chatflow_id: chatflowId, active: true }, { projection: { _id: 1 } })) !==
      null,

    async ofUser(userId: UserId): Promise<{ chatflowId: ChatflowId; assignedAt: Date }[]> {
      const found = await rows().find({ user_id: userId, active: true }).limit(MOST_ASSIGNMENTS).toArray();
      return found.map((row) => ({ chatflowId: row.chatflow_id, assignedAt: row.assigned_at }));
    },

    async ofChatflow(chatflowId: ChatflowId): Promise<Assignment[]> {
      const found = await rows()
        .find({ chatflow_id: chatflowId, active: true })
        .sort({ email: 1 })
        .limit(MOST_ASSIGNMENTS)
        .toArray();
      return found.map((row) => ({
        userId: row.user_id,
        username: row.username,
        email: row.email,
        assignedAt: row.assigned_at,
      }));
    },

    async unassign(chatflowId: ChatflowId, email: string): Promise<boolean> {
      const { matchedCount } = await rows().updateMany(
        { chatflow_id: chatflowId, email: email.toLowerCase(), active: true },
        { $set: { active: false } },
      );
      return matchedCount > 0;
    },

    async forget(userId: UserId): Promise<void> {
      await rows().deleteMany({ user_id: userId });
    },

    async rename({ userId, username, email }: Omit<Assignment, 'assignedAt'>): Promise<void> {
      await rows().updateMany({ user_id: userId }, { $set: { username, email: email.toLowerCase() } });
    },
  };
}
