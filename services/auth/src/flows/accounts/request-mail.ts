import type { Origin } from '../../domain/audit-event.ts';
import { siteOf } from '../../domain/client-address.ts';
import { keyOf } from '../../domain/user.ts';
import type { Ports } from '../../ports.ts';

type RequestMailDeps = Pick<Ports, 'clock' | 'limits' | 'mailQueue'>;

/**
 * Orders another verification code or a link for a new password. Whether the address has an account is looked up when the
 * mail is written, not here: the answer and its time are the same for every address, and so for a mail server that is down.
 */
export const createRequestMail = ({ clock, limits, mailQueue }: RequestMailDeps) =>
  async function requestMail(kind: 'verification' | 'password-reset', email: string, origin: Origin): Promise<void> {
    await limits.spend('mail-per-address', siteOf(origin.ip));
    await limits.spend('mail-per-recipient', keyOf(email));
    await mailQueue.add({ kind, email }, new Date(clock.now()));
  };
