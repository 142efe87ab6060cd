import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { networkOf, siteOf } from '../../domain/client-address.ts';
import { hasExpired, type PasswordRules } from '../../domain/password-rules.ts';
import { isEmail, keyOf, mayLogIn, type User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import type { createContinueLogIn, LogInOutcome } from './continue-log-in.ts';

type LogInDeps = Pick<
  Ports,
  'clock' | 'devices' | 'events' | 'limits' | 'mailQueue' | 'passwords' | 'secrets' | 'users'
> & {
  continueLogIn: ReturnType<typeof createContinueLogIn>;
  rules: PasswordRules;
};
/** `workspaceId`: where to begin, when the user belongs to several workspaces. */
export type LogInRequest = Readonly<{
  identifier: string;
  password: string;
  workspaceId?: string | undefined;
  deviceToken?: string | undefined;
}>;

/** Begins a login with a user name or e-mail address and its password. Every failure costs the same time and answer. */
export const createLogIn = (deps: LogInDeps) =>
  async function logIn(request: LogInRequest, origin: Origin): Promise<LogInOutcome> {
    await deps.limits.spend('log-in-per-address', siteOf(origin.ip));
    const user = await guessWithinLimits(deps, request, origin);
    if (!user) {
      // What an attack on many names is counted by.
      const facts = { identifier: deps.secrets.hashIdentifier(keyOf(request.identifier)), site: siteOf(origin.ip) };
      await deps.events.record({ action: 'session.refused', origin, facts });
      throw new AppError('INVALID_CREDENTIALS');
    }
    if (!mayLogIn(user)) {
      const { id: targetId, status } = user;
      await deps.events.record({ action: 'session.refused', targetId, origin, facts: { status } });
      throw new AppError(status === 'locked' ? 'ACCOUNT_LOCKED' : 'ACCOUNT_DISABLED');
    }
    if (!user.isVerified) throw new AppError('EMAIL_NOT_VERIFIED');
    if (hasExpired(user, deps.rules, deps.clock.now())) return refuseExpired(deps, user, origin);
    const { workspaceId } = request;
    return deps.continueLogIn({
      user,
      origin,
      hasSecondFactor: false,
      ...(workspaceId !== undefined && { workspaceId }),
    });
  };

const findAccount = ({ users }: LogInDeps, identifier: string): Promise<User | undefined> =>
  isEmail(identifier) ? users.findByEmail(keyOf(identifier)) : users.findByName(keyOf(identifier));

/**
 * Wrong passwords lock what was typed, known or not, and slow down the network they come from. A device from which the
 * owner has logged in before has a count of its own, so that strangers cannot lock the owner out there; all such devices have
 * one together, because somebody who knew the password once may have gathered many.
 */
async function guessWithinLimits(
  deps: LogInDeps,
  { identifier, password, deviceToken }: LogInRequest,
  origin: Origin,
): Promise<User | undefined> {
  const { limits } = deps;
  const guess = () => prove(deps, identifier, password);
  const device = deps.devices.read(deviceToken, deps.clock.now());
  const isOwners = device !== undefined && (await findAccount(deps, identifier))?.id === device.userId;
  if (isOwners)
    return limits.tryOut('log-in-failures-per-owner', device.userId, () =>
      limits.guess('log-in-per-device', device.id, guess),
    );
  return limits.tryOut('log-in-failures-per-network', networkOf(origin.ip), () =>
    limits.guess('log-in-per-identifier', keyOf(identifier), guess),
  );
}

/** The user whose password it is. */
async function prove(deps: LogInDeps, identifier: string, password: string): Promise<User | undefined> {
  const { users, passwords } = deps;
  const user = await findAccount(deps, identifier);
  // Checked also when the user is unknown, so that the answer takes as long as for a known one.
  const { matches, outdated } = await passwords.check(password, user?.passwordHash);
  if (!user || !matches) return undefined;
  if (outdated) await users.replaceHash(user.id, { from: user.passwordHash, to: await passwords.hash(password) });
  return user;
}

/** The way on leads through the mailbox: whoever merely knows an old password cannot choose the next one. */
async function refuseExpired(
  { clock, events, limits, mailQueue }: LogInDeps,
  user: User,
  origin: Origin,
): Promise<never> {
  await limits.spend('mail-per-recipient', keyOf(user.email));
  await mailQueue.add({ kind: 'password-reset', email: user.email }, new Date(clock.now()));
  await events.record({ action: 'password.expired', actorId: user.id, targetId: user.id, origin });
  throw new AppError('PASSWORD_EXPIRED');
}
