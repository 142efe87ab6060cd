import { randomUUID } from 'node:crypto';
import { UserId } from '@tollgate/contracts';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import { isBulk } from '../domain/mails.ts';
import type { LeasedMail, MailOrder, MailQueue } from '../ports.ts';
import { objectId } from './object-id.ts';

type MailRecord = {
  _id: Types.ObjectId;
  kind: MailOrder['kind'];
  email?: string;
  userId?: Types.ObjectId;
  alert?: Extract<MailOrder, { kind: 'alert' }>['alert'];
  invitationId?: string;
  workspaceId?: string;
  role?: string;
  /** Present for mails that nobody waits for. Absent sorts before present. */
  isBulk?: true;
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
    invitationId: String,
    workspaceId: String,
    role: String,
    isBulk: Boolean,
    orderedAt: { type: Date, required: true },
    dueAt: { type: Date, required: true },
    leaseId: String,
    attempts: { type: Number, required: true, default: 0 },
    lastFault: String,
  },
  { versionKey: false, collection: 'mail_queue' },
);

/** A longer queue is not counted to its end. */
const MOST_COUNTED = 1000;

/** Mails that wait to be sent. A process that dies with a mail in its hands loses only its lease. */
export function createMailQueue(connection: Connection): MailQueue {
  const model = connection.model('QueuedMail', schema);
  const mine = ({ id, leaseId }: LeasedMail) => ({ _id: objectId(id), leaseId });

  return {
    async add(order, now) {
      const owner = 'userId' in order ? { userId: objectId(order.userId) } : {};
      const bulk = isBulk(order) ? { isBulk: true as const } : {};
      await model.create({ ...order, ...owner, ...bulk, orderedAt: now, dueAt: now });
    },
    async lease(now, until) {
      const leaseId = randomUUID();
      const record = await model
        .findOneAndUpdate(
          { dueAt: trusted({ $lte: now }) },
          { $set: { dueAt: until, leaseId } },
          { sort: { isBulk: 1, dueAt: 1 }, returnDocument: 'after' },
        )
        .lean();
      return record ? toMail(record, leaseId) : undefined;
    },
    async remove(mail) {
      await model.deleteOne(mine(mail));
    },
    async depth() {
      // An order is put back at its end, so that the one which is due first is not always the oldest: few are looked through.
      const [waiting, oldest] = await Promise.all([
        model.countDocuments({}, { limit: MOST_COUNTED }),
        model.find({}, { orderedAt: 1 }, { limit: MOST_COUNTED }).sort({ dueAt: 1 }).lean(),
      ]);
      return { waiting, oldest: oldest.map(({ orderedAt }) => orderedAt).toSorted((a, b) => +a - +b)[0] };
    },
    async retryAt(mail, at, reason) {
      await model.updateOne(mine(mail), { $set: { dueAt: at, lastFault: reason }, $inc: { attempts: 1 } });
    },
  };
}

function toMail(record: MailRecord, leaseId: string): LeasedMail {
  const { _id, orderedAt, attempts, userId, ...rest } = record;
  const { isBulk: _bulk, dueAt: _due, leaseId: _lease, lastFault: _fault, ...fields } = rest;
  // `add` is the only writer, and it writes the fields of the kind.
  const order = { ...fields, ...(userId && { userId: UserId.parse(userId.toHexString()) }) } as MailOrder;
  return { id: _id.toHexString(), leaseId, attempts, orderedAt, order };
}
