import PostalMime, { type Address } from 'postal-mime';
import { createWaitingRoom } from '../waiting.ts';

/** A mail as it was delivered. */
export type Mail = {
  /** Counts up from 1 in the order of arrival. */
  id: number;
  /** ISO 8601. */
  receivedAt: string;
  /** From the From header, or the envelope when there is none. */
  from: string;
  /** Recipients of the envelope, in lower case: who really got it, whatever the headers say. */
  to: string[];
  subject: string;
  text: string;
  html: string;
  /** Every http and https link of the text, or of the HTML when there is no text, in order. */
  links: string[];
  headers: { name: string; value: string }[];
  attachments: { filename: string; mimeType: string; size: number }[];
};

export type Envelope = { from: string; to: string[] };

export type Mailbox = {
  receive(raw: Buffer, envelope: Envelope, nowMs: number): Promise<Mail>;
  /** Newest first; `to` keeps the mails of one recipient. */
  list(to?: string): Mail[];
  find(id: number): Mail | undefined;
  clear(): void;
  /** Resolves with the newest mail to `to` that the predicate accepts, now or later; rejects after `timeoutMs`. */
  waitFor(to: string, isWanted: (mail: Mail) => boolean, timeoutMs: number): Promise<Mail>;
  /** Rejects those who still wait. */
  close(): void;
};

const LINK = /https?:\/\/[^\s<>"')\]]+(?<![.,;:!?])/g; // what ends a sentence is not part of the link

/** Keeps the last `keep` mails in memory. */
export function createMailbox(keep: number): Mailbox {
  const room = createWaitingRoom('the SMTP sink');
  const mails: Mail[] = [];
  let lastId = 0;
  const list = (to?: string) => {
    const wanted = to?.trim().toLowerCase();
    return mails.filter((mail) => wanted === undefined || mail.to.includes(wanted)).reverse();
  };

  return {
    async receive(raw, envelope, nowMs) {
      const parsed = await PostalMime.parse(raw);
      const { subject = '', text = '', html = '' } = parsed;
      lastId += 1;
      const mail: Mail = {
        id: lastId,
        receivedAt: new Date(nowMs).toISOString(),
        from: addressOf(parsed.from) ?? envelope.from,
        to: envelope.to.map((address) => address.toLowerCase()),
        subject,
        text,
        html,
        links: (text || html.replaceAll('&amp;', '&')).match(LINK) ?? [],
        headers: parsed.headers.map(({ originalKey, value }) => ({ name: originalKey, value })),
        attachments: parsed.attachments.map(({ filename, mimeType, content }) => ({
          filename: filename ?? '',
          mimeType,
          size: typeof content === 'string' ? content.length : content.byteLength,
        })),
      };
      mails.push(mail);
      if (mails.length > keep) mails.shift();
      room.changed();
      return mail;
    },
    list,
    find: (id) => mails.find((mail) => mail.id === id),
    clear: () => {
      mails.length = 0;
    },
    async waitFor(to, isWanted, timeoutMs) {
      const { promise: late, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => {
        const seen = list(to).map((mail) => mail.subject);
        reject(new Error(`no such mail to ${to} within ${timeoutMs} ms; it got: ${seen.join(', ') || 'nothing'}`));
      }, timeoutMs);
      try {
        return await Promise.race([room.until(`a mail to ${to}`, () => list(to).find(isWanted)), late]);
      } finally {
        clearTimeout(timer);
      }
    },
    close: () => room.close(),
  };
}

function addressOf(from: Address | undefined): string | undefined {
  return from && 'address' in from ? from.address : undefined;
}
