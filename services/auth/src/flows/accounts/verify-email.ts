import { AppError } from '@tollgate/http-kit';
import type { Origin } from '../../domain/audit-event.ts';
import { siteOf } from '../../domain/client-address.ts';
import { kindOfVerification, type MailedCode } from '../../domain/mailed-code.ts';
import { keyOf } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

type VerifyDeps = Pick<Ports, 'clock' | 'events' | 'limits' | 'mailQueue' | 'mailedCodes' | 'secrets' | 'users'>;

const EVERYBODY = 'everybody';
const FAILED = 'Email verification failed';

/**
 * Proves that an address belongs to an account: that of a new account, or the changed one of an old account.
 * A code alone names its account. It has 24 bits only, so misses are limited per address and for everybody together;
 * who sends the e-mail address along is limited per account instead.
 */
export const createVerifyEmail = (deps: VerifyDeps) =>
  async function verifyEmail(token: string, email: string | undefined, origin: Origin): Promise<void> {
    await deps.limits.spend('verify-per-address', siteOf(origin.ip));
    const code = email === undefined ? await findByCode(deps, token) : await guessFor(deps, token, email);
    if (!code) throw new AppError('INVALID_CODE', FAILED);
    const taken = await deps.mailedCodes.take(code.kind, code.hash, new Date(deps.clock.now()));
    const isProven =
      taken !== undefined && (await (code.kind === 'change-email' ? moveAddress : confirmAddress)(deps, taken));
    if (!isProven) throw new AppError('INVALID_CODE', FAILED);
    const action = code.kind === 'change-email' ? 'email.changed' : 'email.verified';
    await deps.events.record({ action, actorId: code.userId, targetId: code.userId, origin });
  };

function findByCode({ limits, mailedCodes, secrets, clock }: VerifyDeps, token: string) {
  return limits.tryOut('verify-misses', EVERYBODY, () => {
    const kind = kindOfVerification(token);
    return mailedCodes.find(kind, secrets.hashes(kind, token), new Date(clock.now()));
  });
}

function guessFor({ limits, mailedCodes, secrets, clock }: VerifyDeps, token: string, email: string) {
  const emailKey = keyOf(email);
  return limits.guess('verify-per-account', emailKey, async () => {
    const kind = kindOfVerification(token);
    const code = await mailedCodes.find(kind, secrets.hashes(kind, token), new Date(clock.now()));
    return code?.emailKey === emailKey ? code : undefined;
  });
}

async function confirmAddress(
  { users, mailedCodes, clock }: VerifyDeps,
  { userId, emailKey }: MailedCode,
): Promise<boolean> {
  const isProven = await users.verify(userId, emailKey, new Date(clock.now()));
  if (isProven) await mailedCodes.discard(userId, ['verify-email']);
  return isProven;
}

/** The old address is told, and secrets that were mailed to it are worth nothing from now on. */
async function moveAddress({ users, mailedCodes, mailQueue, clock }: VerifyDeps, code: MailedCode): Promise<boolean> {
  const now = new Date(clock.now());
  const before = await users.find(code.userId);
  if (!before || !(await users.confirmEmail(code.userId, { email: code.email, emailKey: code.emailKey }, now)))
    return false;
  await mailedCodes.discard(code.userId, ['change-email', 'verify-email', 'reset-password']);
  await mailQueue.add({ kind: 'email-changed', userId: code.userId, email: before.email }, now);
  return true;
}
