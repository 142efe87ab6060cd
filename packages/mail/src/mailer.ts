import { type Letter, renderLetter } from './letter.ts';

export type MailerOptions = Readonly<{
  /** `smtp://user:password@host:port` or `smtps://…` */
  url: string;
  from: string;
}>;

export type Mailer = Readonly<{
  /**
   * `refused`: nobody will ever take this mail at this address. Throws when another try may succeed.
   * `messageId` is the same for every try, so that a reader shows a mail once that was delivered twice.
   */
  send(mail: Letter & { to: string; messageId?: string }): Promise<'sent' | 'refused'>;
  close(): Promise<void>;
}>;

const CONNECT_MS = 10_000;
const SILENCE_MS = 30_000;
const PERMANENT_FAILURE = 500;

/** Hands mails to an SMTP server over a few kept connections. */
export function createMailer({ url, from }: MailerOptions): Mailer {
  const timeouts = { connectionTimeout: CONNECT_MS, greetingTimeout: CONNECT_MS, socketTimeout: SILENCE_MS };
  // Loaded with the first letter: many a process starts and ends without one.
  const openTransport = async () => {
    const { default: nodemailer } = await import('nodemailer');
    return nodemailer.createTransport({ url, pool: true, maxConnections: 2, ...timeouts }, { from });
  };
  let opened: ReturnType<typeof openTransport> | undefined;
  return {
    async send({ to, messageId, ...letter }) {
      if (!isPlainAddress(to)) return 'refused';
      try {
        const transport = await (opened ??= openTransport());
        // The address as an object: a string would be parsed, and could hold several.
        await transport.sendMail({
          to: { name: '', address: to },
          subject: letter.subject,
          ...renderLetter(letter),
          ...(messageId !== undefined && { messageId }),
          disableFileAccess: true,
          disableUrlAccess: true,
        });
        return 'sent';
      } catch (error) {
        if (isRefusedRecipient(error)) return 'refused';
        throw error;
      }
    },
    async close() {
      (await opened)?.close();
    },
  };
}

const LONGEST_ADDRESS = 254;

/** One address and nothing else: no list, quotes, comment or line break could make more of it (acceptance.md, 23). */
export const isPlainAddress = (address: string): boolean =>
  address.length <= LONGEST_ADDRESS && /^[^\s\p{Cc}"(),:;<>@[\\\]]+@[^\s\p{Cc}"(),:;<>@[\\\]]+$/u.test(address);

/** RFC 5321, section 4.2.1: 5yz is a permanent negative answer. Other 5yz (login, policy) are ours to repair, so they are retried. */
function isRefusedRecipient(error: unknown): boolean {
  const { code, responseCode } = Object(error) as { code?: unknown; responseCode?: unknown };
  return code === 'EENVELOPE' && typeof responseCode === 'number' && responseCode >= PERMANENT_FAILURE;
}
