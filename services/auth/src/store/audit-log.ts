import { type Connection, Schema, type Types } from 'mongoose';
import { AUDIT_ACTIONS, type AuditEvent } from '../domain/audit-event.ts';
import { objectId } from './object-id.ts';

type AuditRecord = {
  at: Date;
  action: AuditEvent['action'];
  actorId?: Types.ObjectId;
  targetId?: Types.ObjectId;
  ip?: string;
  userAgent?: string;
  requestId?: string;
  facts?: AuditEvent['facts'];
};

const schema = new Schema<AuditRecord>(
  {
    at: { type: Date, required: true },
    action: { type: String, enum: AUDIT_ACTIONS, required: true },
    actorId: Schema.Types.ObjectId,
    targetId: Schema.Types.ObjectId,
    ip: String,
    userAgent: String,
    requestId: String,
    facts: Schema.Types.Mixed,
  },
  { versionKey: false, collection: 'audit_log' },
);

export type AuditLog = { append(event: AuditEvent, at: Date): Promise<void> };

/** The audit log: lines are added, never changed or removed. */
export function createAuditLog(connection: Connection): AuditLog {
  const model = connection.model('AuditLine', schema);
  return {
    async append({ action, actorId, targetId, origin, facts }, at) {
      await model.create({
        at,
        action,
        ...(actorId && { actorId: objectId(actorId) }),
        ...(targetId && { targetId: objectId(targetId) }),
        ...origin,
        ...(facts && { facts }),
      });
    },
  };
}
