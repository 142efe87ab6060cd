import { isDuplicate, type Mongo } from '@tollgate/mongo-kit';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Lead, Leads } from '../../ports.ts';

interface Row {
  readonly _id: string;
  /** A user's id, or `anybody`. */
  readonly owner: string;
  readonly chatflow_id: ChatflowId;
  readonly chat_id: string;
  readonly name: string | null;
  readonly email: string | null;
  readonly phone: string | null;
  readonly created_at: Date;
}

interface Count {
  readonly _id: string;
  readonly count: number;
  readonly expires_at: Date;
}

const ANYBODY = 'anybody';
const HOUR_MS = 3_600_000;

export function leadsIn(mongo: Mongo): Leads {
  const rows = () => mongo.collection<Row>('leads');
  const counts = () => mongo.collection<Count>('lead_counts');

  /** Books one more within the hour; false when there have been enough. Whoever is known is counted alone. */
  async function count({ userId, chatflowId, createdAt }: Lead, mostPerHour: number): Promise<boolean> {
    const hour = Math.floor(createdAt.getTime() / HOUR_MS);
    const room = { _id: [chatflowId, ...(userId ? [userId] : []), hour].join(' '), count: { $lt: mostPerHour } };
    const first = { expires_at: new Date((hour + 2) * HOUR_MS) };
    try {
      await counts().updateOne(room, { $inc: { count: 1 }, $setOnInsert: first }, { upsert: true });
      return true;
    } catch (error) {
      // The count is there already: it is full, or came into being at this moment.
      if (!isDuplicate(error)) throw error;
      return (await counts().updateOne(room, { $inc: { count: 1 } })).matchedCount > 0;
    }
  }

  async function write(lead: Lead): Promise<{ id: string; isNew: boolean }> {
    const key = { owner: lead.userId ?? ANYBODY, chatflow_id: lead.chatflowId, chat_id: lead.chatId };
    const said = { name: lead.name, email: lead.email, phone: lead.phone };
    const first = { _id: lead.id, created_at: lead.createdAt };
    const row = await rows().findOneAndUpdate(
      key,
      lead.userId ? { $set: said, $setOnInsert: first } : { $setOnInsert: { ...said, ...first } },
      { upsert: true, returnDocument: 'after', projection: { _id: 1 } },
    );
    const id = row?._id ?? lead.id;
    return { id, isNew: id === lead.id };
  }

  return {
    forgetOf: (userId) =>
      mongo.run(async () => {
        await rows().deleteMany({ owner: userId });
      }),

    put: (lead, mostPerHour) =>
      mongo.run(async () => {
        if (!(await count(lead, mostPerHour))) return 'too-many';
        try {
          return await write(lead);
        } catch (error) {
          // Sent twice at the same moment.
          if (!isDuplicate(error)) throw error;
          return write(lead);
        }
      }),
  };
}
