import type { UserStatus } from './user.ts';

export type StatusChange = Readonly<{
  from: readonly UserStatus[];
  to: UserStatus;
  action: 'account.locked' | 'account.unlocked' | 'account.disabled' | 'account.enabled';
  /** Why its tokens count no longer; absent when they go on. */
  reason?: 'account-locked' | 'account-disabled';
}>;
type Name = 'lock' | 'unlock' | 'disable' | 'enable';

/** What an administrator may do with the account of another. Disabling weighs more than locking: unlocking does not undo it. */
export const STATUS_CHANGES: Readonly<Record<Name, StatusChange>> = {
  lock: { from: ['active'], to: 'locked', action: 'account.locked', reason: 'account-locked' },
  unlock: { from: ['locked'], to: 'active', action: 'account.unlocked' },
  disable: { from: ['active', 'locked'], to: 'disabled', action: 'account.disabled', reason: 'account-disabled' },
  enable: { from: ['disabled'], to: 'active', action: 'account.enabled' },
};
