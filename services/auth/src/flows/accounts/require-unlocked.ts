import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

/**
 * Refuses while wrong passwords have locked the name or the address of the account, so that no other way in is open
 * meanwhile. The device its owner has logged in from before is not shut out by what strangers guess.
 */
export async function requireUnlocked(
  { clock, devices, limits }: Pick<Ports, 'clock' | 'devices' | 'limits'>,
  user: User,
  deviceToken?: string,
): Promise<void> {
  if (devices.read(deviceToken, clock.now())?.userId === user.id) return;
  await limits.check('log-in-per-identifier', user.usernameKey);
  if (user.emailKey !== undefined) await limits.check('log-in-per-identifier', user.emailKey);
}
