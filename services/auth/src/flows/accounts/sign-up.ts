import type { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { siteOf } from '../../domain/client-address.ts';
import { faultOfPassword, type PasswordRules } from '../../domain/password-rules.ts';
import { displayName, keyOf, type NewUser } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

type SignUpDeps = Pick<Ports, 'clock' | 'events' | 'limits' | 'mailQueue' | 'passwords' | 'secrets' | 'users'> & {
  rules: PasswordRules;
  /** Milliseconds until an account that nobody verified gives its name free. */
  abandonMs: number;
};
type Form = { username: string; email: string; password: string };

/**
 * Opens an account that waits for its verification. When the address is known already, a decoy is opened instead: the same
 * answer after the same work, the user name taken as well, and a mail to the owner of the address.
 */
export const createSignUp = (deps: SignUpDeps) =>
  async function signUp(form: Form, origin: Origin): Promise<UserId> {
    const { users, mailQueue, events, clock } = deps;
    await deps.limits.spend('sign-up-per-address', siteOf(origin.ip));
    const fault = faultOfPassword(form.password, form, deps.rules);
    if (fault) throw new AppError('WEAK_PASSWORD', fault);
    // Each leads to a mail to this address, whoever asks.
    await deps.limits.spend('sign-up-per-recipient', keyOf(form.email));

    const account = await describeAccount(deps, form);
    await users.removeAbandoned(account, account.createdAt);
    const isKnown = (await users.findByEmail(account.emailKey)) !== undefined;
    const isOpened = !isKnown && (await users.insert(account));
    // A refused insert means that the name is taken, or that somebody else signed up with the address at this moment.
    const isNew = isOpened || (await users.insert(decoyOf(account)));
    const opened = isNew ? { id: account.id, ownsAddress: isOpened } : await openedBefore(deps, form, account);
    if (!opened) throw new AppError('DUPLICATE_USERNAME');

    await mailQueue.add(
      { kind: opened.ownsAddress ? 'verification' : 'already-registered', email: form.email },
      new Date(clock.now()),
    );
    await events.record({
      action: opened.ownsAddress ? 'account.signed-up' : 'account.sign-up-refused',
      targetId: opened.id,
      origin,
    });
    return opened.id;
  };

/**
 * The account of this very form, when its first answer or mail was lost: whoever repeats a sign-up is answered as the first time,
 * whether that opened an account or a decoy. A name taken by anybody else takes the same work.
 */
async function openedBefore(
  { users, passwords }: SignUpDeps,
  { username, email, password }: Form,
  { usernameKey }: NewUser,
): Promise<{ id: UserId; ownsAddress: boolean } | undefined> {
  const taken = usernameKey === undefined ? undefined : await users.findByName(usernameKey);
  const { matches } = await passwords.check(password, taken?.passwordHash);
  const isSame = taken?.username === displayName(username) && taken.email === email && matches && !taken.isVerified;
  return isSame ? { id: taken.id, ownsAddress: taken.emailKey !== undefined } : undefined;
}

async function describeAccount(
  deps: SignUpDeps,
  { username, email, password }: Form,
): Promise<NewUser & { emailKey: string }> {
  const passwordHash = await deps.passwords.hash(password);
  const now = deps.clock.now();
  return {
    id: deps.secrets.userId(),
    username: displayName(username),
    usernameKey: keyOf(username),
    email,
    emailKey: keyOf(email),
    isVerified: false,
    role: 'enduser',
    status: 'active',
    passwordHash,
    abandonedAt: new Date(now + deps.abandonMs),
    createdAt: new Date(now),
    updatedAt: new Date(now),
  };
}

function decoyOf({ emailKey: _owned, ...account }: NewUser & { emailKey: string }): NewUser {
  return account;
}
