import type { Migration } from '@tollgate/mongo-kit';

/** Workspaces, who belongs to them, and who is invited. A membership and an invitation are unique by their ids. */
export const workspaces: Migration = {
  name: '0005-workspaces',
  indexes: [
    { collection: 'memberships', key: { userId: 1, isActive: 1, joinedAt: 1 }, options: { name: 'of_user' } },
    { collection: 'memberships', key: { workspaceId: 1, isActive: 1, userId: 1 }, options: { name: 'of_workspace' } },
    { collection: 'memberships', key: { changedAt: 1, _id: 1 }, options: { name: 'last_changed' } },
    { collection: 'invitations', key: { workspaceId: 1, invitationId: 1 }, options: { name: 'of_workspace' } },
    { collection: 'invitations', key: { invitationId: 1 }, options: { name: 'by_id', unique: true } },
    {
      collection: 'invitations',
      key: { hash: 1 },
      options: { name: 'by_token', unique: true, partialFilterExpression: { hash: { $exists: true } } },
    },
    { collection: 'invitations', key: { expiresAt: 1 }, options: { name: 'expired', expireAfterSeconds: 0 } },
  ],
};
