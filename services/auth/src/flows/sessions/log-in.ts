import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../domain/audit-event.ts';
import { siteOf } from '../domain/client-address.ts';
import { isEmail, keyOf, mayLogIn, type User } from '../domain/user.ts';
import type { Ports } from '../ports.ts';
import { openSession, type OpenSessionDeps, type TokenPair } from './open-session.ts';

type LogInDeps = OpenSessionDeps & Pick<Ports, 'events' | 'limits' | 'passwords' | 'users'>;
export type LoggedIn = TokenPair & { user: User };

/** Opens a session for a user name or e-mail address with its password. Every failure costs the same time and answer. */
export const createLogIn = (deps: LogInDeps) =>
  async function logIn(identifier: string, password: string, origin: Origin): Promise<LoggedIn> {
    await deps.limits.spend('log-in-per-address', siteOf(origin.ip));
    const user = await deps.limits.guess('log-in-per-identifier', keyOf(identifier), () =>
      prove(deps, identifier, password),
    );
    if (!user) {
      await deps.events.record({ action: 'session.refused', origin });
      throw new AppError('INVALID_CREDENTIALS');
    }
    if (!user.isVerified) throw new AppError('EMAIL_NOT_VERIFIED');
    const pair = await openSession(deps, user, origin);
    await deps.events.record({ action: 'session.opened', actorId: user.id, targetId: user.id, origin });
    return { ...pair, user };
  };

/** The user whose password it is. */
async function prove({ users, passwords }: LogInDeps, identifier: string, password: string): Promise<User | undefined> {
  const key = keyOf(identifier);
  const user = await (isEmail(identifier) ? users.findByEmail(key) : users.findByName(key));
  // Checked also when the user is unknown, so that the answer takes as long as for a known one.
  const { matches, outdated } = await passwords.check(password, user?.passwordHash);
  if (!user || !matches || !mayLogIn(user)) return undefined;
  if (outdated) await users.replaceHash(user.id, { from: user.passwordHash, to: await passwords.hash(password) });
  return user;
}
