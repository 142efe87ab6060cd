import { join } from 'node:path';
import { type Conversation, ask, booksOf, closedBooks, databaseUrl, endingOf, URLS } from './conversation.ts';
import { run, until } from './programs.ts';
import type { Stack } from './stack.ts';

export interface Kill {
  readonly service: string;
  /** From the kill to the healthy container, which the engine starts again by itself. */
  readonly secondsToHealthy: number;
  /** How the answer that ran at that moment ended. */
  readonly running: string;
  /** From the kill to the next whole answer. */
  readonly secondsToAnswer: number;
  readonly ledger: boolean;
}

export const KILLED = ['chat-proxy', 'accounting', 'auth', 'postgres', 'mongo'] as const;

/** Kills the only container of a service in the middle of an answer: what becomes of it, of the next one, and of the books. */
export async function killOne(
  stack: Stack,
  service: string,
  { person, chatflow, sessionId }: Conversation,
): Promise<Kill> {
  await person.logIn();
  const question = 'Tell me at length what a toll gate does, and why';
  const answer = await person.chat({ question, chatflow_id: chatflow, sessionId });
  await answer.until('token', 3);
  const began = performance.now();
  const secondsToHealthy = await stack.kill(service);
  await answer.toEnd();
  await until(() => ask(person, chatflow, sessionId).catch(pause), `an answer after the kill of ${service}`, 600);
  const secondsToAnswer = (performance.now() - began) / 1000;
  const books = await booksOf(stack);
  try {
    await closedBooks(books, person.userId);
  } finally {
    await books.close();
  }
  return {
    service,
    secondsToHealthy,
    running: endingOf(answer),
    secondsToAnswer,
    ledger: await isLedgerRight(stack),
  };
}

/** Not more often: the limits on questions are those of production. */
export const pause = () => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 2_000));

/** The project's own verification, against the database in its container. */
export async function isLedgerRight(stack: Stack): Promise<boolean> {
  const file = (name: string) => join(stack.folder, 'secrets', name);
  const env = {
    ...process.env,
    DATABASE_URL: await databaseUrl(stack),
    JWT_ACCESS_SECRET_FILE: file('jwt_access_secret'),
    JWT_SERVICE_SECRET_FILE: file('jwt_service_secret'),
    LEDGER_SIGNING_SECRET_FILE: file('ledger_signing_secret'),
    AUTH_API_URL: URLS.auth,
  };
  const args = ['--conditions=tollgate', 'scripts/ledger-verify.ts', '--json'];
  const { ok } = JSON.parse(await run(process.execPath, args, env)) as { ok: boolean };
  return ok;
}
