import { CommandError } from './errors.ts';
import type { Reply } from './request.ts';

const SESSIONS_KEPT = 10_000;
/** A reply with a large document is not worth keeping: a retry of it runs again, as it would without this memory. */
const REPLY_LIMIT_BYTES = 1024 * 1024;

type Written = { number: bigint; reply: Promise<Reply> };

export type Retries = {
  /**
   * Runs a retryable write once: the same session and number again gets the first answer, also while it is being made.
   * A write that failed as a whole left nothing behind and may run again.
   */
  once(session: string, number: bigint, write: () => Promise<Reply>): Promise<Reply>;
  forget(sessions: string[]): void;
};

/** Remembers the last retryable write of each session, which is the only one a driver may repeat. */
export function createRetries(): Retries {
  const written = new Map<string, Written>();
  return {
    once: (session, number, write) => {
      const last = written.get(session);
      if (last?.number === number) return last.reply;
      if (last && last.number > number)
        throw new CommandError('TransactionTooOld', `Write ${number} is older than ${last.number}`);
      const entry: Written = { number, reply: write() };
      written.delete(session);
      written.set(session, entry);
      const forget = () => written.get(session) === entry && written.delete(session);
      entry.reply.then((reply) => reply.document.length > REPLY_LIMIT_BYTES && forget(), forget);
      const [oldest] = written.keys();
      if (written.size > SESSIONS_KEPT && oldest !== undefined) written.delete(oldest);
      return entry.reply;
    },
    forget: (sessions) => {
      for (const session of sessions) written.delete(session);
    },
  };
}
