import { directive, type Person, type Platform } from '@tollgate/test-kit';
import { DOORS } from './doors.ts';

/** So far an answer goes, and no further. */
export const TOKENS_BEFORE_A_STOP = 5;
const question = directive({ tokens: 9, hangAfter: TOKENS_BEFORE_A_STOP });
const streamed = DOORS.filter(({ isStreamed }) => isStreamed);

interface Asking {
  readonly platform: Platform;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** An answer at every door that streams, each as far as it goes. */
export async function runAtAllDoors(platform: Platform) {
  const people = await Promise.all(streamed.map(() => platform.user({ credits: 100_000 })));
  const first = platform.openai.calls();
  const heard = streamed.map((door, at) =>
    door.ask(platform, people[at] as Person, { text: question, chatflowId: platform.chatflows.priced }),
  );
  for (let at = 0; at < streamed.length; at += 1) await platform.openai.untilSent(first + at, TOKENS_BEFORE_A_STOP);
  return { people, heard };
}

export const askNatively = ({ accessToken }: Person, { platform, headers, signal }: Asking) =>
  fetch(`${platform.urls.chatProxy}/api/v1/chat/predict/stream`, {
    method: 'POST',
    headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ question, chatflow_id: platform.chatflows.priced }),
    ...(signal && { signal }),
  });

/** An answer whose client has gone, and that goes on because it said that it would come back. */
export async function runAlone(platform: Platform, headers: Record<string, string>): Promise<Person> {
  const person = await platform.user({ credits: 100_000 });
  const leaving = new AbortController();
  let text = '';
  for await (const chunk of (await askNatively(person, { platform, headers, signal: leaving.signal })).body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.split('"token"').length > TOKENS_BEFORE_A_STOP) break;
  }
  leaving.abort();
  return person;
}

/** Tells it to stop, and what the ledger says the moment it has gone. */
export async function stopped(platform: Platform, people: readonly Person[]) {
  const began = performance.now();
  const code = await platform.chatProxy.end('SIGTERM');
  const seconds = (performance.now() - began) / 1000;
  const books = await Promise.all(people.map(({ userId }) => platform.books.ofUser(userId)));
  await platform.chatProxy.start();
  return { code, seconds, books: books.map(({ openHolds, charged, held }) => ({ openHolds, charged, held })) };
}
