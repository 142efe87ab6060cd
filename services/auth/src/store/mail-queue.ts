import { randomUUID } from 'node:crypto';
import { UserId } from '@tollgate/contracts';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import type { LeasedMail, MailOrder, MailQueue } from '../ports.ts';
import { objectId } from './object-id.ts';

type MailRecord = {
  _id: Types.ObjectId;
  kind: MailOrder['kind'];
  email?: string;
  userId?: Types.ObjectId;
  alert?: Extract<MailOrder, { kind: 'alert' }>['alert'];
  orderedAt: Date;
  /** When somebody may take it: a lease moves it into the future. */
  dueAt: Date;
  leaseId?: string;
  attempts: number;
  lastFault?: string;
};

const schema = new Schema<MailRecord>(
  {
    kind: { type: String, required: true },
    email: String,
    userId: Schema.Types.ObjectId,
    alert: Schema.Types.Mixed,
    orderedAt: { type: Date, required: true },
    dueAt: { type: Date, required: true },
    leaseId: String,
    attempts: { type: Number, required: true, default: 0 },
    lastFault: String,
  },
  { versionKey: false, collection: 'mail_queue' },
);

/** Mails that wait to be sent. A process that dies with a mail in its hands loses only its lease. */
export function createMailQueue(connection: Connection): MailQueue {
  const model = connection.model('QueuedMail', schema);
  const mine = ({ id, leaseId }: LeasedMail) => ({ _id: objectId(id), leaseId });

  return {
    async add(order, now) {
      const { kind } = order;
      const email = 'email' in order ? { email: order.email } : {};
      const owner = 'userId' in order ? { userId: objectId(order.userId) } : {};
      const alert = 'alert' in order ? { alert: order.alert } : {};
      await model.create({ kind, ...email, ...owner, ...alert, orderedAt: now, dueAt: now });
    },
    async lease(now, until) {
      const leaseId = randomUUID();
      const record = await model
        .findOneAndUpdate(
          { dueAt: trusted({ $lte: now }) },
          { $set: { dueAt: until, leaseId } },
          { sort: { dueAt: 1 }, returnDocument: 'after' },
        )
        .lean();
      return record ? toMail(record, leaseId) : undefined;
    },
    async remove(mail) {
      await model.deleteOne(mine(mail));
    },
    async retryAt(mail, at, reason) {
      await model.updateOne(mine(mail), { $set: { dueAt: at, lastFault: reason }, $inc: { attempts: 1 } });
    },
  };
}

function toMail({ _id, kind, email, userId, alert, orderedAt, attempts }: MailRecord, leaseId: string): LeasedMail {
  const order = {
    kind,
    ...(email !== undefined && { email }),
    ...(userId && { userId: UserId.parse(userId.toHexString()) }),
    ...(alert && { alert }),
  } as MailOrder; // `add` is the only writer, and it writes the fields of the kind
  return { id: _id.toHexString(), leaseId, attempts, orderedAt, order };
}
