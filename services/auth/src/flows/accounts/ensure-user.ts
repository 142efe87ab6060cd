import type { Role, UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { faultOfPassword, type PasswordRules } from '../../domain/password-rules.ts';
import { keyOf, type User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { openAccount } from '../administer/create-users.ts';

type EnsureDeps = Pick<
  Ports,
  'adminRoster' | 'clock' | 'events' | 'passwords' | 'revocations' | 'secrets' | 'sessions' | 'users'
> & {
  rules: PasswordRules;
  abandonMs: number;
};
export type WantedUser = { username: string; email: string; password: string; role: Role };

/**
 * Makes sure that an installation has a user: verified, with the role. An account whose owner has proven the address keeps
 * its password; running this again changes nothing.
 */
export const createEnsureUser = (deps: EnsureDeps) =>
  async function ensureUser(wanted: WantedUser): Promise<{ userId: UserId; isNew: boolean }> {
    const fault = faultOfPassword(wanted.password, wanted, deps.rules);
    if (fault) throw new AppError('WEAK_PASSWORD', `${wanted.username}: ${fault}`);
    const known = await deps.users.findByEmail(keyOf(wanted.email));
    const userId = known?.id ?? (await openSeeded(deps, wanted));
    if (wanted.role === 'admin') await deps.adminRoster.add(userId);
    if (known) await adjust(deps, known, wanted);
    else
      await deps.events.record({
        action: 'account.created',
        targetId: userId,
        facts: { role: wanted.role, seeded: true },
      });
    return { userId, isNew: known === undefined };
  };

async function adjust(
  { users, sessions, passwords, clock, revocations }: EnsureDeps,
  known: User,
  { role, password }: WantedUser,
): Promise<void> {
  const now = new Date(clock.now());
  if (!known.isVerified && known.emailKey !== undefined) {
    // Anybody may have signed up with this address: their password must not open the account that is made of it.
    await users.setPassword(known.id, { hash: await passwords.hash(password), replaces: known.passwordHash }, now);
    await users.verify(known.id, known.emailKey, now);
  }
  if (known.role === role) return;
  const changed = await users.setRole(known.id, role, now);
  if (!changed) return;
  await sessions.endAllOf([known.id], 'role-changed', now);
  const { id: userId, tokenVersion: minVersion } = changed;
  await revocations.add([{ kind: 'user', userId, minVersion, reason: 'role-changed' }], now);
}

const openSeeded = async (deps: EnsureDeps, wanted: WantedUser): Promise<UserId> =>
  openAccount(deps, { ...wanted, isVerified: true, passwordHash: await deps.passwords.hash(wanted.password) });
