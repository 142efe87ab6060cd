import { callJson, directive, type Person, startChat, type Urls } from '@tollgate/test-kit';
import { METRICS } from './rotation.ts';

/** What somebody does all day, over and over; every answer that is not a good one is noted. */
export interface Traffic {
  readonly failures: readonly string[];
  readonly calls: () => number;
  /** Calls on and on while `work` is done, and everything once more after it. */
  during(work: () => Promise<void>): Promise<void>;
}

interface Scene {
  readonly person: Person;
  readonly urls: Urls;
  readonly chatflow: string;
  readonly apiKey: string;
  /** A conversation with a file in it. */
  readonly sessionId: string;
}

type Call = () => Promise<{ status: number }>;

/** `person` keeps one session and refreshes it again and again, as a page does that stays open. */
export function createTraffic({ person, urls, chatflow, apiKey, sessionId }: Scene): Traffic {
  const failures: string[] = [];
  let [access, refresh] = [person.accessToken, person.refreshToken];
  let calls = 0;

  async function well(what: string, call: Call): Promise<void> {
    calls += 1;
    try {
      const { status } = await call();
      if (status !== 200) failures.push(`${what}: ${status}`);
    } catch (error) {
      failures.push(`${what}: ${String(error)} ${String(Object(error).cause ?? '')}`);
    }
  }

  async function refreshed(): Promise<{ status: number }> {
    const body = { refreshToken: refresh };
    const answer = await callJson<Record<'accessToken' | 'refreshToken', string>>(
      'POST',
      `${urls.auth}/api/auth/refresh`,
      { body },
    );
    if (answer.status === 200) [access, refresh] = [answer.body.accessToken, answer.body.refreshToken];
    return answer;
  }

  async function once(): Promise<void> {
    await well('chat', () => answered(urls, access, chatflow));
    await well('chat with an API key', () => answered(urls, apiKey, chatflow));
    await well('balance', () => callJson('GET', `${urls.accounting}/api/credits/balance`, { token: access }));
    await well('profile', () => callJson('GET', `${urls.auth}/api/profile`, { token: access }));
    await well('file', async () => read(urls.chatProxy + (await linkToFile(urls, access, sessionId))));
    for (const [service, url] of Object.entries(urls)) await well(`metrics of ${service}`, () => scraped(url));
    await well('refresh', refreshed);
    const { username, password } = person;
    await well('login', () => callJson('POST', `${urls.auth}/api/auth/login`, { body: { username, password } }));
  }

  return {
    failures,
    calls: () => calls,
    async during(work) {
      let isDone = false;
      const working = work().finally(() => (isDone = true));
      while (!isDone) await once();
      await working;
      await once();
    },
  };
}

/** The link that the history gives to the file in its first question; it needs no token. */
export async function linkToFile({ chatProxy }: Urls, token: string, sessionId: string): Promise<string> {
  const url = `${chatProxy}/api/v1/chat/sessions/${sessionId}/history`;
  const { body } = await callJson<{ history: { uploads: { url: string }[] }[] }>('GET', url, { token });
  return body.history[0]?.uploads[0]?.url ?? '/no-file';
}

async function answered({ chatProxy }: Urls, token: string, chatflow: string): Promise<{ status: number }> {
  const question = directive({ tokens: 1 });
  const answer = await startChat(`${chatProxy}/api/v1/chat/predict/stream`, token, { question, chatflow_id: chatflow });
  await answer.toEnd();
  return { status: answer.events.some(({ event }) => event === 'end') ? answer.status : 599 };
}

export async function read(url: string, token?: string): Promise<{ status: number }> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(url, { headers });
  await response.arrayBuffer();
  return response;
}

/** Prometheus asks with the old or the new token, as its own configuration has changed or not. */
async function scraped(url: string): Promise<{ status: number }> {
  const old = await read(`${url}/metrics`, METRICS.old);
  return old.status === 200 ? old : read(`${url}/metrics`, METRICS.new);
}
