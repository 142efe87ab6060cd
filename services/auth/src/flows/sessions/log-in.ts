import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { siteOf } from '../../domain/client-address.ts';
import { isEmail, keyOf, mayLogIn, type User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import type { createContinueLogIn, LogInOutcome } from './continue-log-in.ts';

type LogInDeps = Pick<Ports, 'events' | 'limits' | 'passwords' | 'secrets' | 'users'> & {
  continueLogIn: ReturnType<typeof createContinueLogIn>;
};
/** `workspaceId`: where to begin, when the user belongs to several workspaces. */
export type LogInRequest = Readonly<{ identifier: string; password: string; workspaceId?: string | undefined }>;

/** Begins a login with a user name or e-mail address and its password. Every failure costs the same time and answer. */
export const createLogIn = (deps: LogInDeps) =>
  async function logIn({ identifier, password, workspaceId }: LogInRequest, origin: Origin): Promise<LogInOutcome> {
    await deps.limits.spend('log-in-per-address', siteOf(origin.ip));
    const user = await deps.limits.guess('log-in-per-identifier', keyOf(identifier), () =>
      prove(deps, identifier, password),
    );
    if (!user) {
      // What an attack on many names is counted by.
      const facts = { identifier: deps.secrets.hashIdentifier(keyOf(identifier)), site: siteOf(origin.ip) };
      await deps.events.record({ action: 'session.refused', origin, facts });
      throw new AppError('INVALID_CREDENTIALS');
    }
    if (!mayLogIn(user)) {
      const { id: targetId, status } = user;
      await deps.events.record({ action: 'session.refused', targetId, origin, facts: { status } });
      throw new AppError(status === 'locked' ? 'ACCOUNT_LOCKED' : 'ACCOUNT_DISABLED');
    }
    if (!user.isVerified) throw new AppError('EMAIL_NOT_VERIFIED');
    return deps.continueLogIn({
      user,
      origin,
      hasSecondFactor: false,
      ...(workspaceId !== undefined && { workspaceId }),
    });
  };

/** The user whose password it is. */
async function prove({ users, passwords }: LogInDeps, identifier: string, password: string): Promise<User | undefined> {
  const key = keyOf(identifier);
  const user = await (isEmail(identifier) ? users.findByEmail(key) : users.findByName(key));
  // Checked also when the user is unknown, so that the answer takes as long as for a known one.
  const { matches, outdated } = await passwords.check(password, user?.passwordHash);
  if (!user || !matches) return undefined;
  if (outdated) await users.replaceHash(user.id, { from: user.passwordHash, to: await passwords.hash(password) });
  return user;
}
