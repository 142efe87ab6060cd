import { randomBytes } from 'node:crypto';
import {
  callJson,
  type ChatCall,
  expectOk,
  openBooks,
  Person,
  type Books,
  type SmtpSink,
  type Urls,
} from '@tollgate/test-kit';
import { run, until } from './programs.ts';
import type { Stack } from './stack.ts';

export const URLS: Urls = {
  auth: 'http://127.0.0.1:3000',
  chatProxy: 'http://127.0.0.1:8000',
  accounting: 'http://127.0.0.1:3001',
};

const CREDITS = 1_000_000;

export interface Conversation {
  readonly person: Person;
  readonly chatflow: string;
  readonly sessionId: string;
  readonly charged: number;
}

/** The first administrator, as an operator makes one: with the seed command of the image. */
export async function firstAdmin(stack: Stack): Promise<Person> {
  const password = randomBytes(12).toString('base64url');
  const admin = { username: 'admin', email: 'admin@example.test', password, role: 'admin' };
  const script = `printf %s '${JSON.stringify([admin])}' >users.json && docker compose --project-directory . exec -T auth node dist/seed.js - <users.json; rm -f users.json`;
  const [seeded] = JSON.parse(await run('/bin/sh', ['-c', script], stack.env, stack.folder)) as { id: string }[];
  return new Person({ ...admin, userId: seeded?.id ?? '' }, URLS).logIn();
}

/** Signs somebody up, allocates credits, asks, and compares what every place says of the charge. */
export async function converse(admin: Person, mails: SmtpSink, books: Books, urls = URLS): Promise<Conversation> {
  const name = `user-${randomBytes(4).toString('hex')}`;
  const newcomer = { username: name, email: `${name}@example.test`, password: randomBytes(12).toString('base64url') };
  const { body: signedUp } = await expectOk(
    callJson<{ userId: string }>('POST', `${urls.auth}/api/auth/signup`, { body: newcomer }),
  );
  const mail = await mails.waitForMail(newcomer.email, () => true, 180_000);
  const token = /\b[0-9a-f]{6}\b/.exec(mail.text)?.[0];
  await expectOk(callJson('POST', `${urls.auth}/api/auth/verify-email`, { body: { token } }));
  const person = await new Person({ ...newcomer, userId: signedUp.userId }, urls).logIn();

  await expectOk(admin.chatProxy('POST', '/api/v1/admin/chatflows/sync'));
  const { body: chatflows } = await expectOk(
    admin.chatProxy<{ flowise_id: string }[]>('GET', '/api/v1/admin/chatflows'),
  );
  const chatflow = chatflows[0]?.flowise_id ?? '';
  await expectOk(
    admin.chatProxy('POST', `/api/v1/admin/chatflows/${encodeURIComponent(chatflow)}/users`, { email: newcomer.email }),
  );
  await person.balance();
  await expectOk(admin.accounting('POST', '/api/credits/allocate', { userId: person.userId, credits: CREDITS }));

  const { sessionId, charged } = await ask(person, chatflow);
  const stats = await person.accounting<{ totalCredits: number }>('GET', '/api/usage/stats');
  const kept = await closedBooks(books, person.userId);
  const said = [await spent(person), stats.body.totalCredits, kept.charged];
  if (charged <= 0 || said.some((each) => each !== charged)) {
    throw new Error(`the answer says ${charged} credits; balance, usage and ledger say ${said.join(', ')}`);
  }
  return { person, chatflow, sessionId, charged };
}

/** One streamed answer to its end. */
export async function ask(
  person: Person,
  chatflow: string,
  sessionId?: string,
): Promise<{ sessionId: string; charged: number }> {
  const question = 'What does a toll gate do?';
  const answer = await person.chat({ question, chatflow_id: chatflow, ...(sessionId !== undefined && { sessionId }) });
  await answer.toEnd();
  const usage = answer.data<{ credits: number }>('usage');
  if (answer.status !== 200 || answer.text === '' || !usage) {
    throw new Error(`no whole answer: ${answer.status} ${JSON.stringify(answer.problem ?? answer.events.at(-1))}`);
  }
  return { sessionId: String(answer.data('session_id')), charged: usage.credits };
}

export const endingOf = ({ cut, events }: Pick<ChatCall, 'cut' | 'events'>): string =>
  cut ? `cut after ${events.length} events` : `ended with ${events.at(-1)?.event ?? 'nothing'}`;

const spent = async (person: Person): Promise<number> => CREDITS - (await person.balance());

/** What the ledger says once nothing of it is open. */
export const closedBooks = (books: Books, userId: string) =>
  until(async () => {
    const state = await books.ofUser(userId).catch(() => undefined);
    return state?.openHolds === 0 ? state : undefined;
  }, 'the holds to close');

/** Accounting's database has no published port; this process shares the machine with the engine and reaches the container. */
export async function booksOf(stack: Stack): Promise<Books> {
  return openBooks(await databaseUrl(stack));
}

export async function databaseUrl(stack: Stack): Promise<string> {
  const { addresses } = await stack.container('postgres');
  const url = new URL(await stack.secret('accounting_database_owner_url'));
  url.hostname = addresses[0] ?? '';
  return url.href;
}
