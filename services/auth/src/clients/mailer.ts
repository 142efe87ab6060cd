import nodemailer from 'nodemailer';
import type { Mailer } from '../ports.ts';

export type MailerOptions = Readonly<{
  /** `smtp://user:password@host:port` or `smtps://…` */
  url: string;
  from: string;
}>;

const CONNECT_MS = 10_000;
const SILENCE_MS = 30_000;
const PERMANENT_FAILURE = 500;

/** Hands mails to an SMTP server over a few kept connections. */
export function createMailer({ url, from }: MailerOptions): Mailer & { close(): void } {
  const timeouts = { connectionTimeout: CONNECT_MS, greetingTimeout: CONNECT_MS, socketTimeout: SILENCE_MS };
  const transport = nodemailer.createTransport({ url, pool: true, maxConnections: 2, ...timeouts }, { from });
  return {
    async send({ to, subject, text, html }) {
      try {
        // The address as an object: a string would be parsed, and could hold several.
        await transport.sendMail({
          to: { name: '', address: to },
          subject,
          text,
          html,
          disableFileAccess: true,
          disableUrlAccess: true,
        });
        return 'sent';
      } catch (error) {
        if (isRefusedRecipient(error)) return 'refused';
        throw error;
      }
    },
    close: () => transport.close(),
  };
}

/** RFC 5321, section 4.2.1: 5yz is a permanent negative answer. Other 5yz (login, policy) are ours to repair, so they are retried. */
function isRefusedRecipient(error: unknown): boolean {
  const { code, responseCode } = Object(error) as { code?: unknown; responseCode?: unknown };
  return code === 'EENVELOPE' && typeof responseCode === 'number' && responseCode >= PERMANENT_FAILURE;
}
