import { UserId } from '@tollgate/contracts';
import { isDuplicate } from '@tollgate/mongo-kit';
import { type Connection, Schema, trusted, type Types } from 'mongoose';
import type { Invitation } from '../../domain/workspace.ts';
import type { Invitations } from '../../ports/workspaces.ts';
import { objectId } from '../object-id.ts';

type InvitationRecord = Omit<Invitation, 'id' | 'invitedBy'> & {
  _id: string;
  invitationId: string;
  invitedBy: Types.ObjectId;
  /** The keyed hash of the token; absent until the mail is written. */
  hash?: string;
};

const required = { required: true } as const;

const schema = new Schema<InvitationRecord>(
  {
    /** Workspace and address: an address has one invitation at a time. */
    _id: String,
    invitationId: { type: String, ...required },
    workspaceId: { type: String, ...required },
    email: { type: String, ...required },
    emailKey: { type: String, ...required },
    role: { type: String, enum: ['admin', 'supervisor', 'enduser'], ...required },
    invitedBy: { type: Schema.Types.ObjectId, ...required },
    hash: String,
    createdAt: { type: Date, ...required },
    expiresAt: { type: Date, ...required },
  },
  { versionKey: false, collection: 'invitations' },
);

const open = (now: Date) => ({ expiresAt: trusted({ $gt: now }) });
/** An upsert that met somebody else's insert finds the document at its second try, unless that was deleted again. */
const MOST_TRIES = 5;

/** Invitations that wait. An expired one is never found, whether or not it was cleared away yet. */
export function createInvitations(connection: Connection): Invitations {
  const model = connection.model('Invitation', schema);
  const one = async (query: PromiseLike<InvitationRecord | null>) => toInvitation(await query);

  return {
    async put({ id, invitedBy, ...invitation }) {
      const _id = `${invitation.workspaceId}:${invitation.emailKey}`;
      const fields = { ...invitation, invitationId: id, invitedBy: objectId(invitedBy) };
      for (let tries = 1; ; tries += 1) {
        try {
          await model.updateOne({ _id }, { $set: fields, $unset: { hash: 1 } }, { upsert: true });
          return;
        } catch (error) {
          if (!isDuplicate(error) || tries === MOST_TRIES) throw error;
        }
      }
    },
    find: (id, now) => one(model.findOne({ invitationId: id, ...open(now) }).lean()),
    async list(workspaceId, { after, limit, now }) {
      const behind = after === undefined ? {} : { invitationId: trusted({ $gt: after }) };
      const filter = { workspaceId, ...behind, ...open(now) };
      const records = await model.find(filter).sort({ invitationId: 1 }).limit(limit).lean();
      return records.flatMap((record) => toInvitation(record) ?? []);
    },
    setHash: async (id, hash, now) =>
      (await model.updateOne({ invitationId: id, ...open(now) }, { $set: { hash } })).matchedCount === 1,
    findByHash: (hashes, now) => one(model.findOne({ hash: trusted({ $in: [...hashes] }), ...open(now) }).lean()),
    take: (hashes, emailKey, now) =>
      one(model.findOneAndDelete({ hash: trusted({ $in: [...hashes] }), emailKey, ...open(now) }).lean()),
    revoke: async (workspaceId, id) => (await model.deleteOne({ invitationId: id, workspaceId })).deletedCount === 1,
  };
}

function toInvitation(record: InvitationRecord | null): Invitation | undefined {
  if (!record) return undefined;
  const { _id, invitationId, invitedBy, hash: _hash, ...invitation } = record;
  return { id: invitationId, invitedBy: UserId.parse(invitedBy.toHexString()), ...invitation };
}
