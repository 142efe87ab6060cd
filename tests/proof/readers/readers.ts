import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Person, type Platform, startPlatform } from '@tollgate/test-kit';
import { ask, crawl, dawdle, type RawClient, take, takeAll } from './clients.ts';
import {
  connectionsTo,
  residentMegabytes,
  seen,
  type Seen,
  watchedBy,
  watchMemory,
  watchPressure,
} from './watch-process.ts';

export interface ReadersOptions {
  readonly slow: number;
  readonly halfClosing: number;
  readonly resetting: number;
  readonly crawling: number;
  readonly leaseSeconds: number;
  readonly stallSeconds: number;
  readonly say: (text: string) => void;
}

/** What one kind of client leaves behind. */
export interface Left {
  readonly clients: string;
  readonly count: number;
  readonly megabytesBefore: number;
  readonly megabytesAtMost: number;
  readonly delayP99Ms: number;
  readonly workP99Ms: number;
  /** The share of the time in which something on the machine waited for a processor. */
  readonly pressure: number | undefined;
  /** Clients whose connection the service has ended by itself. */
  readonly ended: number;
  /** Of each answer: what has come from servers, and what the system has taken for its client. */
  readonly takenMegabytes: number;
  readonly handedOnMegabytes: number;
  /** Seconds until no hold was open, and until no connection to the upstream was. */
  readonly holdsAfter: number;
  readonly upstreamsAfter: number;
  readonly openHolds: number;
  readonly openUpstreams: number;
}

export interface ReadersSeen {
  /** Clients that read at once: what the others are compared with. */
  readonly reading: Left;
  readonly left: readonly Left[];
  readonly crawling: {
    readonly count: number;
    readonly ended: number;
    readonly lastSeconds: number;
    readonly p99Ms: readonly [number, number];
  };
  readonly before: Seen;
  readonly after: Seen;
  readonly exit: { readonly code: number | null; readonly seconds: number };
}

/** 5 MB. */
const PIECE = 'slow '.repeat(205);
const LONG_ANSWER = Array.from({ length: 5120 }, () => PIECE);
const PEOPLE = 20;
const CREDITS = 100_000_000;
const AT_ONCE = 10;
const WARM_UPS = 40;
/** Enough to fill what is kept of answers, and for the heap to have the size that such answers need at any speed. */
const READING = 80;
const HEAD_BYTES = 12;
/** What a short answer has at least. */
const ANSWER_BYTES = 500;
/** Some events. */
const FIRST_BYTES = 3000;
const LONGEST_WAIT_MS = 120_000;

export async function playReaders(options: ReadersOptions): Promise<ReadersSeen> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-readers-'));
  const file = join(folder, 'seen.json');
  const platform = await startPlatform({
    leaseSeconds: options.leaseSeconds,
    chatProxy: {
      ...watchedBy(file),
      DISCONNECT_STRIKES: '0',
      DEFAULT_OUTPUT_TOKENS: '1000000',
      CLIENT_STALL_TIMEOUT: `${options.stallSeconds}s`,
    },
  });
  try {
    const stage = await setStage(platform, file, options.say);
    const reading = await readers(stage);
    await stage.settleDown();
    const before = await seen(platform.chatProxy, file);
    const left: Left[] = [];
    left.push(await slowReaders(stage, options));
    left.push(await leavers(stage, 'half-closing', options.halfClosing));
    left.push(await leavers(stage, 'resetting', options.resetting));
    const crawling = await crawlers(stage, options.crawling);
    await stage.settleDown();
    const after = await seen(platform.chatProxy, file);
    const began = performance.now();
    const code = await platform.chatProxy.end('SIGTERM');
    return {
      reading,
      left,
      crawling,
      before,
      after,
      exit: { code, seconds: (performance.now() - began) / 1000 },
    };
  } finally {
    await platform.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface ReaderStage {
  readonly platform: Platform;
  readonly file: string;
  readonly say: (text: string) => void;
  ask(count: number): Promise<RawClient[]>;
  /** Until connections that nobody needs have been given up. */
  settleDown(): Promise<void>;
}

async function setStage(platform: Platform, file: string, say: ReaderStage['say']): Promise<ReaderStage> {
  const people = await Promise.all(Array.from({ length: PEOPLE }, () => platform.user({ credits: CREDITS })));
  const url = platform.urls.chatProxy;
  const stage: ReaderStage = {
    platform,
    file,
    say,
    async ask(count) {
      const clients: RawClient[] = [];
      const body = { question: 'Tell me everything', chatflow_id: platform.chatflows.priced };
      while (clients.length < count) {
        const some = Array.from({ length: Math.min(AT_ONCE, count - clients.length) }, (_, at) =>
          ask({ url, token: (people[at % PEOPLE] as Person).accessToken, body }),
        );
        for (const client of some) {
          const head = await take(client, HEAD_BYTES);
          if (head.endsWith('200')) clients.push(client);
          else client.socket.destroy();
        }
      }
      return clients;
    },
    async settleDown() {
      await until(async () => (await connectionsTo(portOf(platform))) === 0);
      await pause(SETTLING_MS);
    },
  };
  for (let done = 0; done < WARM_UPS; done += AT_ONCE)
    for (const client of await stage.ask(AT_ONCE)) await leaveAfter(client, ANSWER_BYTES);
  say('warm');
  platform.openai.setScenario({ tokens: LONG_ANSWER });
  return stage;
}
const SETTLING_MS = 5000;

async function leaveAfter(client: RawClient, bytes: number): Promise<void> {
  await take(client, bytes);
  client.socket.destroy();
}

const portOf = ({ openai }: Platform): number => Number(new URL(openai.url).port);

/** Milliseconds until it is so, at most so many. */
async function until(isSo: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (performance.now() - began < LONGEST_WAIT_MS && !(await isSo())) await pause(100);
  return performance.now() - began;
}

async function watched(
  { platform, file, say }: ReaderStage,
  clients: string,
  act: () => Promise<readonly RawClient[]>,
): Promise<Left> {
  const megabytesBefore = await residentMegabytes(platform.chatProxy);
  const before = await seen(platform.chatProxy, file); // its counters begin anew
  const peak = watchMemory(platform.chatProxy);
  const pressure = await watchPressure();
  const all = await act();
  const { delayMs, workMs, takenBytes, handedOnBytes } = await seen(platform.chatProxy, file);
  const megabytesAtMost = await peak();
  const taken = await connectionsTo(Number(new URL(platform.chatProxy.url).port), 'taker');
  for (const { socket } of all) socket.destroy();
  const [holdsMs, upstreamsMs] = await Promise.all([
    until(async () => (await platform.books.openHolds()) === 0),
    until(async () => (await connectionsTo(portOf(platform))) === 0),
  ]);
  const left: Left = {
    clients,
    count: all.length,
    megabytesBefore,
    megabytesAtMost,
    delayP99Ms: delayMs.p99,
    workP99Ms: workMs.p99,
    pressure: await pressure(),
    ended: Math.max(0, all.length - taken),
    takenMegabytes: (takenBytes - before.takenBytes) / all.length / 2 ** 20,
    handedOnMegabytes: (handedOnBytes - before.handedOnBytes) / all.length / 2 ** 20,
    holdsAfter: holdsMs / 1000,
    upstreamsAfter: upstreamsMs / 1000,
    openHolds: await platform.books.openHolds(),
    openUpstreams: await connectionsTo(portOf(platform)),
  };
  say(JSON.stringify(left));
  return left;
}

/** More than the limit for clients that read nothing, so that the service has ended what it ends. */
const BEYOND_STALL_SECONDS = 15;

/** So many at a time as begin together, all of them read to their end. */
const readers = (stage: ReaderStage): Promise<Left> =>
  watched(stage, 'reading at once', async () => {
    const clients: RawClient[] = [];
    while (clients.length < READING) {
      const some = await stage.ask(AT_ONCE);
      await Promise.all(some.map(takeAll));
      clients.push(...some);
    }
    return clients;
  });

const slowReaders = (stage: ReaderStage, { slow, stallSeconds }: ReadersOptions): Promise<Left> =>
  watched(stage, 'reading a byte a second', async () => {
    const clients = await stage.ask(slow);
    stage.say(`${clients.length} have begun`);
    await Promise.all(clients.map((client) => dawdle(client, stallSeconds + BEYOND_STALL_SECONDS)));
    return clients;
  });

const leavers = (stage: ReaderStage, how: 'half-closing' | 'resetting', count: number): Promise<Left> =>
  watched(stage, how, async () => {
    const clients = await stage.ask(count);
    for (const client of clients) {
      await take(client, FIRST_BYTES);
      if (how === 'resetting') client.socket.resetAndDestroy();
      else client.socket.end();
      client.socket.resume();
    }
    await Promise.race([
      Promise.all(clients.map(async (client) => until(async () => client.isOver))),
      pause(LONGEST_WAIT_MS),
    ]);
    return clients;
  });

const REQUESTS = 400;

/** Requests of others, before and while a thousand sockets say nothing to an end. */
async function crawlers({ platform, say }: ReaderStage, count: number): Promise<ReadersSeen['crawling']> {
  const url = platform.urls.chatProxy;
  const calm = await p99(url);
  const began = performance.now();
  let lastSeconds = 0;
  const clients = Array.from({ length: count }, () => crawl(url));
  for (const { socket } of clients)
    socket.on('close', () => {
      lastSeconds = (performance.now() - began) / 1000;
    });
  const busy = await p99(url);
  await until(async () => clients.every(({ isOver }) => isOver));
  const ended = clients.filter(({ isOver }) => isOver).length;
  for (const { socket } of clients) socket.destroy();
  say(`${ended} of ${count} crawling sockets ended`);
  return { count, ended, lastSeconds, p99Ms: [calm, busy] };
}

async function p99(url: string): Promise<number> {
  const times: number[] = [];
  for (let at = 0; at < REQUESTS; at += 1) {
    const began = performance.now();
    const answer = await fetch(`${url}/api/v1/chatflows`);
    await answer.text();
    times.push(performance.now() - began);
  }
  times.sort((one, other) => one - other);
  return Math.round((times[Math.floor(REQUESTS * 0.99)] ?? 0) * 10) / 10;
}
