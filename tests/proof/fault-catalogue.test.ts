import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type ChaosProxy,
  directive,
  eventually,
  freePorts,
  mongoDatabaseUrl,
  type Platform,
  startChaosProxy,
  startPlatform,
} from '@tollgate/test-kit';
import { DOORS } from './doors.ts';
import {
  ADAPTERS,
  chatflowOf,
  closedHoldOf,
  FIRST_BYTE_MS,
  IDLE_MS,
  playFaults,
  playFault,
  priceByToken,
  REFUSED_CONNECTION,
  type Seen,
  summary,
} from './faults.ts';

let platform: Platform;
let toMongo: ChaosProxy;
let toServers: readonly ChaosProxy[];
const seen: Seen[] = [];

beforeAll(async () => {
  const [flowise = 0, openai = 0] = await freePorts(2);
  const mongoUrl = new URL(mongoDatabaseUrl());
  toMongo = await startChaosProxy({ target: Number(mongoUrl.port) });
  mongoUrl.port = String(toMongo.port);
  mongoUrl.searchParams.set('directConnection', 'true');
  const [toFlowise, toOpenAi] = await Promise.all([flowise, openai].map((target) => startChaosProxy({ target })));
  if (!toFlowise || !toOpenAi) throw new Error('two proxies were asked for');
  toServers = [toFlowise, toOpenAi];
  platform = await startPlatform({
    fakePorts: { flowise, openai },
    chatProxy: {
      MONGODB_URI: mongoUrl.href,
      FLOWISE_API_URL: `http://127.0.0.1:${toFlowise.port}`,
      OPENAI_BASE_URL: `http://127.0.0.1:${toOpenAi.port}/v1`,
      UPSTREAM_FIRST_BYTE_TIMEOUT: `${FIRST_BYTE_MS}ms`,
      UPSTREAM_IDLE_TIMEOUT: `${IDLE_MS}ms`,
      // Each fault is to be met by itself; what a breaker does is tested elsewhere.
      UPSTREAM_BREAK_AFTER: '1000',
      LEFTOVERS_INTERVAL: '200ms',
      // As in production: how long a neighbour is waited for is judged here.
      ACCOUNTING_TIMEOUT: '2s',
      MONGO_OPERATION_TIMEOUT: '3s',
    },
  });
  await priceByToken(platform);
}, 120_000);
afterAll(async () => {
  process.stdout.write(summary(seen));
  await platform.stop();
  await Promise.all([toMongo, ...toServers].map((line) => line.stop()));
});

const SLOWEST_REFUSAL_MS = 2000;
const CONNECTION_LIMIT_MS = 5000;
async function timed<T>(work: Promise<T>): Promise<{ answer: T; ms: number }> {
  const began = performance.now();
  return { answer: await work, ms: performance.now() - began };
}
const ask = (person: Awaited<ReturnType<Platform['user']>>, tokens = 5) =>
  person.chat({ question: directive({ tokens }), chatflow_id: platform.chatflows.priced });

it('every fault of an upstream ends as the catalogue says, at every door: status or event, ledger, time to settle', async () => {
  seen.push(...(await playFaults(platform)));
  expect(seen.filter(({ wrong }) => wrong !== '')).toEqual([]);
  expect([await platform.books.openHolds(), await platform.books.sumOfAllEntries()]).toEqual([0, 0]);
}, 120_000);

it('an upstream that takes no connection is 502 at every door, without a charge, and the next question is answered', async () => {
  const person = await platform.user({ credits: 1000 });
  for (const line of toServers) {
    await line.refuse(true);
    line.resetAll();
  }
  const met: Seen[] = [];
  for (const adapter of ADAPTERS)
    for (const door of DOORS) {
      const { ms, answer: one } = await timed(
        playFault(platform, person, { fault: REFUSED_CONNECTION, adapter, door }),
      );
      expect(ms).toBeLessThan(CONNECTION_LIMIT_MS);
      met.push(one);
    }
  for (const line of toServers) await line.refuse(false);
  seen.push(...met);
  expect(met.filter(({ wrong }) => wrong !== '')).toEqual([]);
  for (const adapter of ADAPTERS) {
    const call = await person.chat({ question: directive({ tokens: 2 }), chatflow_id: chatflowOf(platform, adapter) });
    expect((await call.toEnd()).text).toBe('t1 t2');
  }
});

describe('a neighbour that is away', () => {
  it('auth: tokens are verified here, and answers are given and paid', async () => {
    const alice = await platform.user({ credits: 5000 });
    await platform.auth.end('SIGKILL');
    try {
      const call = await (await ask(alice)).toEnd();
      expect([call.status, call.events.at(-1)?.event, call.data('usage')]).toMatchObject([200, 'end', { credits: 5 }]);
      expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ available: 4995, charged: 5 });
    } finally {
      await platform.auth.start();
    }
  });

  it('accounting: new answers are refused with 503 and asked of nobody, running ones end and are paid once it is back', async () => {
    const bob = await platform.user({ credits: 5000 });
    const running = await bob.chat({
      question: directive({ tokens: 12, tokenDelayMs: 100 }),
      chatflow_id: platform.chatflows.priced,
    });
    await running.until('token', 2);
    await platform.accounting.end('SIGKILL');
    const asked = platform.openai.calls();
    const { answer: refused, ms } = await timed(ask(bob));
    expect([refused.status, refused.problem?.code]).toEqual([503, 'accounting_unavailable']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(ms).toBeLessThan(SLOWEST_REFUSAL_MS + 500);
    expect(platform.openai.calls()).toBe(asked);
    await running.toEnd();
    expect([running.text.split(' ').length, running.events.at(-1)?.event]).toEqual([12, 'end']);
    await platform.accounting.start();
    expect(await platform.untilCharged(bob.userId, 12)).toMatchObject({ available: 4988, held: 0, openHolds: 0 });
  });

  it('MongoDB: new answers are refused with 503 and cost nothing; a running one ends, is paid, and is saved later', async () => {
    const [carol, dave] = await Promise.all([platform.user({ credits: 5000 }), platform.user({ credits: 10 })]);
    const running = await carol.chat({
      question: directive({ tokens: 12, tokenDelayMs: 100 }),
      chatflow_id: platform.chatflows.priced,
    });
    await running.until('token', 2);
    const sessionId = String(running.data('session_id'));
    await toMongo.refuse(true);
    toMongo.resetAll();
    const asked = platform.openai.calls();
    const { answer: refused, ms } = await timed(ask(dave));
    expect([refused.status, refused.problem?.code]).toEqual([503, 'dependency_unavailable']);
    expect(ms).toBeLessThan(SLOWEST_REFUSAL_MS + 2000);
    expect(platform.openai.calls()).toBe(asked);
    await running.toEnd();
    expect([running.events.at(-1)?.event, running.data('usage')]).toMatchObject(['end', { credits: 12 }]);
    expect(await closedHoldOf(platform, carol)).toEqual({ status: 'settled', charged: 12 });
    await toMongo.refuse(false);
    const history = async () =>
      (await carol.chatProxy<{ history?: object[] }>('GET', `/api/v1/chat/sessions/${sessionId}/history`)).body.history;
    await eventually(async () => ((await history())?.length === 2 ? true : undefined), 'both messages to be saved');
    expect((await history())?.at(-1)).toMatchObject({ content: running.text, status: 'completed' });
    // The credits of the refused question may have been held beside what MongoDB refused.
    await eventually(
      async () => ((await platform.books.ofUser(dave.userId)).held === 0 ? true : undefined),
      'nothing held',
    );
    expect(await platform.books.ofUser(dave.userId)).toMatchObject({ available: 10, charged: 0, openHolds: 0 });
    expect(await platform.untilNoOpenHold(carol.userId)).toMatchObject({ available: 4988, held: 0, charged: 12 });
  });
});
