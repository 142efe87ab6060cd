import type { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { CodeLives } from '../../domain/mailed-code.ts';
import type { User } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';
import { issueCode } from '../deliver-mail.ts';

type TestDeps = Pick<Ports, 'clock' | 'mailedCodes' | 'secrets' | 'users'> & { codeLives: CodeLives };
type MailedSecret = { token: string; expires: Date };

const notFound = () => new AppError('NOT_FOUND', 'User not found');

/**
 * For automated tests of clients only (see routes/testing.ts): another secret like the one that was mailed. A reset token is
 * given only while one is out, so that even here nobody resets the password of a user who did not ask.
 */
export const createReadMailedSecret = (deps: TestDeps) =>
  async function readMailedSecret(userId: UserId, type: 'email' | 'password-reset'): Promise<MailedSecret> {
    const user = await deps.users.find(userId);
    const kind = type === 'email' ? 'verify-email' : 'reset-password';
    const isDue =
      kind === 'verify-email'
        ? user?.isVerified === false
        : await deps.mailedCodes.hasOutstanding(kind, userId, new Date(deps.clock.now()));
    if (!user || !isDue) throw notFound();
    const expires = new Date(deps.clock.now() + deps.codeLives[kind]);
    return { token: await issueCode(deps, kind, user, user.email), expires };
  };

/** For automated tests of clients only: verifies without a code. */
export const createVerifyDirectly = ({ users, clock }: Pick<TestDeps, 'users' | 'clock'>) =>
  async function verifyDirectly(userId: UserId): Promise<User> {
    const user = await users.find(userId);
    if (!user?.emailKey) throw notFound();
    await users.verify(userId, user.emailKey, new Date(clock.now()));
    return { ...user, isVerified: true };
  };
