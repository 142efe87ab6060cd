import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ChatCall, directive, eventually, type Person, type Platform, startPlatform } from '@tollgate/test-kit';
import { linkDatabases } from './links.ts';

let platform: Platform;
const { reroute, links } = linkDatabases();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-grace-'));
  // As long as it takes, so that nothing depends on how fast this machine is.
  const chatProxy = {
    SHUTDOWN_DRAIN: '1s',
    SHUTDOWN_CLOSE: '60s',
    ACCOUNTING_TIMEOUT: '30s',
    DISCONNECT_STRIKES: '0',
    JOURNAL_LEASE: '10s',
    CLOCK_OFFSET_FILE: join(folder, 'clock'),
  };
  platform = await startPlatform({ reroute, chatProxy });
}, 120_000);
afterAll(async () => {
  await platform.stop();
  await links().stop();
  await rm(folder, { recursive: true });
});

const AT_ONCE = 10;
// Less than what tokens of another clock are believed.
const LATER_MS = 20_000;
const services = () => [platform.auth, platform.accounting, platform.chatProxy];
const ready = async (url: string) => {
  const response = await fetch(`${url}/health/ready`);
  const { checks } = (await response.json()) as { checks: Record<string, string> };
  return { status: response.status, checks };
};
const untilNotReady = (url: string) =>
  eventually(async () => ((await ready(url)).status === 503 ? true : undefined), `${url} to say that it is not ready`);

/** Answers that have come so far and no further, in several hands. */
async function runningAnswers(count: number, after: number) {
  const people = await Promise.all(Array.from({ length: 4 }, () => platform.user({ credits: 100_000 })));
  const question = directive({ tokens: after + 5, hangAfter: after });
  const chats: ChatCall[] = [];
  for (let at = 0; at < count; at += AT_ONCE) {
    // A machine too slow to begin an answer in time says 503, and holds nothing.
    const ask = (person: Person) =>
      eventually(async () => {
        const chat = await person.chat({ question, chatflow_id: platform.chatflows.priced });
        return chat.status === 200 ? chat : undefined;
      }, 'an answer to begin');
    chats.push(
      ...(await Promise.all(Array.from({ length: AT_ONCE }, (_, next) => ask(people[next % people.length] as Person)))),
    );
  }
  await Promise.all(chats.map((chat) => chat.until('token', after)));
  return { people, chats };
}

const booksOf = async (people: readonly Person[]) => {
  const books = await Promise.all(people.map(({ userId }) => platform.books.ofUser(userId)));
  return {
    openHolds: books.reduce((sum, { openHolds }) => sum + openHolds, 0),
    charged: books.reduce((sum, { charged }) => sum + charged, 0),
  };
};

describe('a proxy with many answers', () => {
  it('that is told to stop, with a hundred, tells all of them, settles all of them and exits with 0', async () => {
    const { people, chats } = await runningAnswers(100, 3);
    expect(await platform.chatProxy.end('SIGTERM')).toBe(0);
    expect(await booksOf(people)).toEqual({ openHolds: 0, charged: 300 });
    const codes = await Promise.all(chats.map(async (chat) => (await chat.toEnd()).data('error')?.['code']));
    expect(new Set(codes)).toEqual(new Set(['server_shutdown']));
    await platform.chatProxy.start();
  }, 120_000);

  it('that is told twice while accounting is away leaves nothing behind that is not written down', async () => {
    const { people, chats } = await runningAnswers(40, 4);
    await platform.accounting.end('SIGKILL');
    const ended = platform.chatProxy.end('SIGTERM');
    await untilNotReady(platform.chatProxy.url).catch(() => undefined); // or it has gone already
    await platform.chatProxy.end('SIGTERM');
    // 1 where it could not close everything in the time there is.
    expect([0, 1]).toContain(await ended);
    await Promise.all(chats.map((chat) => chat.toEnd()));
    // A later life takes over what an earlier one has left when its lease is over.
    await writeFile(join(folder, 'clock'), String(LATER_MS));
    await Promise.all([platform.accounting.start(), platform.chatProxy.start()]);
    const settled = await eventually(async () => {
      const books = await booksOf(people);
      return books.openHolds === 0 && books.charged === 160 ? books : undefined;
    }, 'all answers to be charged');
    expect(settled).toEqual({ openHolds: 0, charged: 160 });
    expect(await platform.books.sumOfAllEntries()).toBe(0);
  }, 120_000);
});

describe('services whose databases are away when they start', () => {
  it('live, say what is missing, and are ready when the databases come', async () => {
    await Promise.all(services().map((service) => service.end('SIGTERM')));
    await links().away();
    // Each before what it needs.
    for (const service of services().toReversed()) await service.launch();
    await Promise.all(services().map((service) => service.untilAlive()));
    expect(await Promise.all(services().map(({ url }) => ready(url)))).toMatchObject([
      { status: 503, checks: { database: 'failed', schema: 'failed' } },
      { status: 503, checks: { database: 'failed', schema: 'failed' } },
      { status: 503, checks: { mongo: 'failed', schema: 'failed', instance: 'failed' } },
    ]);
    await links().back();
    await Promise.all(services().map((service) => service.untilReady()));
    const person = await platform.user({ credits: 10 });
    const answer = await (await person.chat({ question: 'Hello', chatflow_id: platform.chatflows.chain })).toEnd();
    expect(answer.events.at(-1)?.event).toBe('end');
  }, 120_000);

  it('live on when they go later, are ready again when they are back, and stop cleanly without them', async () => {
    await links().away();
    await Promise.all(services().map(({ url }) => untilNotReady(url)));
    const live = await Promise.all(services().map(({ url }) => fetch(`${url}/health/live`)));
    expect(live.map(({ status }) => status)).toEqual([200, 200, 200]);
    await links().back();
    await Promise.all(services().map((service) => service.untilReady()));
    await links().away();
    expect(await Promise.all(services().map((service) => service.end('SIGTERM')))).toEqual([0, 0, 0]);
  }, 120_000);
});
