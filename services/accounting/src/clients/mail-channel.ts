import type { accounting } from '@tollgate/contracts';
import type { Mailer } from '@tollgate/mail';
import { letterToOperators, letterToOwner } from '../domain/event-mail.ts';
import type { Channel, Delivery, Destination } from '../ports.ts';

export type MailChannelOptions = Readonly<{
  mailer: Pick<Mailer, 'send'>;
  /** Addresses that read what concerns the whole installation. */
  operators: readonly string[];
  /** The domain of message ids. */
  domain: string;
}>;

/** What operators read by mail; a head of the ledger every minute is for programs. */
const FOR_OPERATORS: readonly accounting.OutboxEventType[] = [
  'credits.low',
  'ledger.drift',
  'usage.overrun',
  'tenant.changed',
];
const OWNER: Destination = { kind: 'mail', name: 'account', types: ['credits.low'] };

/** Tells events by mail: a low balance to the owner of the account, and to operators what they should know. */
export function createMailChannel({ mailer, operators, domain }: MailChannelOptions): Channel {
  const destinations = [OWNER, ...operators.map((name) => ({ kind: 'mail', name, types: FOR_OPERATORS }) as const)];
  const place = ({ destination }: Delivery) => destinations.findIndex(({ name }) => name === destination);
  return {
    kind: 'mail',
    destinations,
    async deliver(delivery) {
      const mail = delivery.destination === OWNER.name ? ownersMail(delivery) : operatorsMail(delivery);
      if (!mail) return { outcome: 'stop', error: 'nobody to write to' };
      try {
        const messageId = `<${delivery.eventId}.${place(delivery)}@${domain}>`;
        const outcome = await mailer.send({ ...mail, messageId });
        return outcome === 'sent' ? { outcome: 'delivered' } : { outcome: 'stop', error: 'the address was refused' };
      } catch (error) {
        // Neither the address nor what the server said.
        const { code } = Object(error) as { code?: unknown };
        return { outcome: 'retry', error: typeof code === 'string' ? code : 'unknown' };
      }
    },
  };
}

/** To the address that the account has now. */
function ownersMail({ event, owner: { username, email } }: Delivery) {
  if (event.type !== 'credits.low' || email === null) return undefined;
  return { to: email, ...letterToOwner(event, username) };
}

const operatorsMail = ({ event, destination }: Delivery) => ({ to: destination, ...letterToOperators(event) });
