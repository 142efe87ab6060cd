import assert from 'node:assert/strict';
import { eventually } from '@tollgate/test-kit';
import { isWrite, NOT_PRIMARY, OUT_OF_DISK_SPACE } from './mongo-line.ts';
import type { Row } from './row.ts';
import {
  ask,
  assertRefused,
  call,
  LOST_MODEL,
  readiness,
  refusedChat,
  SLOW_MODEL,
  untilAnswered,
  untilReady,
} from './stage.ts';

const LIMIT_MS = 2000;
const OPERATION_LIMIT_MS = 3000;
const CONNECT_MS = 3000;
/** Of connections to MongoDB. */
const POOL_SIZE = 50;
/** Less than the driver's limit for a silent socket, which is when the first of them is free again. */
const POOL_FULL_MS = 10_000;
/** What a busy machine may add to a limit; the limits themselves are the product's. */
const PATIENCE_MS = 4000;

const DOWN: Row = {
  row: 'MongoDB down at start',
  service: 'chat-proxy',
  what: 'no connection is taken',
  async play(stage) {
    const {
      platform,
      lines: { proxyMongo },
    } = stage;
    const person = stage.person();
    await platform.chatProxy.end('SIGTERM');
    await proxyMongo.refuse(true);
    await platform.chatProxy.launch();
    await platform.chatProxy.untilAlive();
    const { pid } = platform.chatProxy;
    assert.equal(await readiness(platform.chatProxy), 503);
    await refusedChat(platform, person, 'dependency_unavailable');
    await proxyMongo.refuse(false);
    await platform.chatProxy.untilReady();
    assert.equal(platform.chatProxy.pid, pid, 'the same process');
    await untilAnswered(platform, person);
    return 'live 200, ready 503, answers 503 dependency_unavailable; ready when it came, same process';
  },
};

const dies = (when: 'cut' | 'cut after'): Row => ({
  row: 'MongoDB dies mid-request',
  service: 'chat-proxy',
  what: `before the upstream call, ${when === 'cut' ? 'before' : 'after'} the insert into the journal`,
  async play(stage) {
    const { platform, lines, mongo } = stage;
    const person = stage.person();
    mongo.proxy.meet(when, ({ name, collection }) => name === 'insert' && collection === 'open_holds');
    const refusal = refusedChat(platform, person, 'dependency_unavailable');
    await eventually(async () => (mongo.proxy.met() > 0 ? true : undefined), 'the insert');
    await lines.proxyMongo.refuse(true);
    lines.proxyMongo.resetAll();
    const ms = await refusal;
    assert.ok(ms < LIMIT_MS + PATIENCE_MS, `answered after ${ms} ms`);
    // The hold is given back although the journal that should remember it is still away.
    const books = await platform.untilNoOpenHold(person.userId);
    assert.deepEqual([books.available, books.charged], [5000, 0]);
    mongo.proxy.meet(undefined);
    await lines.proxyMongo.refuse(false);
    await untilReady(platform.chatProxy, 200);
    await untilAnswered(platform, person);
    return `503 dependency_unavailable after ${ms} ms, hold voided while it was away, no call of the model`;
  },
});

const OPERATION_MS = 1000;
const OPERATIONS_BEFORE_TOKEN = 2;
const SLOW: Row = {
  row: 'MongoDB slow',
  service: 'chat-proxy',
  what: `${OPERATION_MS} ms for each operation`,
  async play(stage) {
    const { platform, lines } = stage;
    const person = stage.person();
    await (await ask(platform, person)).toEnd();
    const firstToken = async (): Promise<number> => {
      const began = performance.now();
      const chat = await ask(platform, person);
      await chat.until('token');
      const ms = Math.round(performance.now() - began);
      await chat.toEnd();
      assert.equal(chat.events.at(-1)?.event, 'end');
      return ms;
    };
    const calm = await firstToken();
    lines.proxyMongo.latency(OPERATION_MS / 2);
    const ms = await firstToken();
    lines.proxyMongo.latency(0);
    await platform.untilCharged(person.userId, 15);
    // One after the other before the first token: a read, and the row of the journal.
    const most = calm + (OPERATIONS_BEFORE_TOKEN + 1) * OPERATION_MS;
    assert.ok(ms < most, `first token after ${ms} ms, and ${calm} ms before`);
    return `first token after ${ms} ms, and ${calm} ms while it was fast`;
  },
};

const NEW_PRIMARY: Row = {
  row: 'MongoDB primary change',
  service: 'chat-proxy',
  what: 'one NotWritablePrimary for the journal',
  async play(stage) {
    const { platform, mongo } = stage;
    const person = stage.person();
    let hasFailed = false;
    mongo.proxy.meet(NOT_PRIMARY, ({ name, collection }) => {
      const isFirst = !hasFailed && name === 'insert' && collection === 'open_holds';
      hasFailed ||= isFirst;
      return isFirst;
    });
    const chat = await (await ask(platform, person)).toEnd();
    const met = mongo.proxy.met();
    mongo.proxy.meet(undefined);
    assert.deepEqual([met, chat.status, chat.events.at(-1)?.event], [1, 200, 'end']);
    await platform.untilCharged(person.userId, 5);
    return 'the answer comes, after one repetition by the driver';
  },
};

const FULL: Row = {
  row: 'Disk full',
  service: 'chat-proxy',
  what: 'MongoDB refuses every write',
  async play(stage) {
    const { platform, mongo } = stage;
    const person = stage.person();
    const before = await (await ask(platform, person)).toEnd();
    const sessionId = String(before.data('session_id'));
    const running = await ask(platform, person, { tokens: 6, delayMs: 50 });
    await running.until('token');
    mongo.proxy.meet(OUT_OF_DISK_SPACE, isWrite);
    const asked = platform.openai.calls();
    const refused = await ask(platform, person);
    const history = await person.chatProxy('GET', `/api/v1/chat/sessions/${sessionId}/history`);
    await running.toEnd();
    mongo.proxy.meet(undefined);
    assert.equal(refused.status, 503, 'new answers are refused');
    assert.equal(platform.openai.calls(), asked, 'nothing is asked of the model');
    assert.equal(history.status, 200, 'reads go on');
    assert.equal(running.events.at(-1)?.event, 'end', 'a running answer ends');
    const books = await platform.untilCharged(person.userId, 11);
    assert.deepEqual([books.available, books.held], [4989, 0]);
    const saved = `/api/v1/chat/sessions/${String(running.data('session_id'))}/history`;
    await eventually(async () => {
      const { body } = await person.chatProxy<{ history?: object[] }>('GET', saved);
      return body.history?.length === 2 ? true : undefined;
    }, 'the messages of the answer that ran');
    return `new answers 503 ${refused.problem?.code}, reads 200, the running answer ends, is paid, and is saved later`;
  },
};

const NO_NAME: Row = {
  row: 'Upstream refused / DNS failure',
  service: 'chat-proxy',
  what: 'a server whose name nobody knows',
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    const began = performance.now();
    const chat = await person.chat({ question: 'Hello', chatflow_id: `model:${LOST_MODEL}` });
    const ms = Math.round(performance.now() - began);
    assert.deepEqual([chat.status, chat.problem?.code], [502, 'upstream_unavailable']);
    assert.ok(ms < 5000 + PATIENCE_MS, `answered after ${ms} ms`);
    const books = await platform.untilNoOpenHold(person.userId);
    assert.deepEqual([books.available, books.charged], [5000, 0]);
    return `502 upstream_unavailable after ${ms} ms, hold voided`;
  },
};

const SLOW_NAME: Row = {
  row: 'DNS / resolver slow',
  service: 'chat-proxy',
  what: 'a server whose name is looked up for ever',
  isLong: true,
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    const began = performance.now();
    const chat = await person.chat({ question: 'Hello', chatflow_id: `model:${SLOW_MODEL}` });
    const ms = Math.round(performance.now() - began);
    assert.deepEqual([chat.status, chat.problem?.code], [502, 'upstream_unavailable']);
    assert.ok(ms > CONNECT_MS / 2 && ms < CONNECT_MS + PATIENCE_MS, `answered after ${ms} ms`);
    const books = await platform.untilNoOpenHold(person.userId);
    assert.deepEqual([books.available, books.charged], [5000, 0]);
    await untilAnswered(platform, person);
    return `502 upstream_unavailable after ${ms} ms, hold voided`;
  },
};

const EXHAUSTED: Row = {
  row: 'Pool exhausted',
  service: 'chat-proxy',
  what: 'every connection to MongoDB waits for an answer',
  async play(stage) {
    const { platform, mongo } = stage;
    const person = stage.person();
    let beats = 0;
    mongo.proxy.meet('hold', ({ name, collection }) => {
      if (name === 'update' && collection === 'instances') beats += 1;
      return name === 'find' && collection === 'sessions';
    });
    const listed = Array.from({ length: 2 * POOL_SIZE }, () =>
      call('GET', `${platform.urls.chatProxy}/api/v1/chat/sessions`, { token: person.accessToken }),
    );
    await eventually(async () => (mongo.proxy.met() >= POOL_SIZE ? true : undefined), 'a full pool');
    const [fullSince, beatsBefore] = [performance.now(), beats];
    await untilReady(platform.chatProxy, 200);
    const readyAfter = Math.round(performance.now() - fullSince);
    const began = performance.now();
    const chat = await ask(platform, person);
    const ms = Math.round(performance.now() - began);
    const answers = await Promise.all(listed);
    // A process that does not say that it lives is taken for dead by the others, and for unready by itself.
    await eventually(async () => (beats > beatsBefore ? true : undefined), 'a sign of life');
    assert.ok(performance.now() - fullSince < POOL_FULL_MS, 'signs of life have a connection of their own');
    mongo.proxy.meet(undefined);
    await chat.toEnd();
    for (const answer of answers) assertRefused(answer, 'dependency_unavailable');
    assert.ok(readyAfter < POOL_FULL_MS, `readiness has a connection of its own, and took ${readyAfter} ms`);
    const slowest = Math.max(ms, ...answers.map((answer) => answer.ms));
    assert.ok(slowest < OPERATION_LIMIT_MS + PATIENCE_MS, `answered after ${slowest} ms`);
    // It waits no longer than they do, and is then the first to get a connection.
    const isWhole = chat.status === 200 && chat.events.at(-1)?.event === 'end';
    if (!isWhole) assert.deepEqual([chat.status, chat.problem?.code], [503, 'dependency_unavailable']);
    // Of 1 credit; before it there may be no hold at all.
    await untilAnswered(platform, person);
    const charged = (await platform.untilNoOpenHold(person.userId)).charged - 1;
    assert.equal(charged, isWhole ? 5 : 0);
    return `${listed.length} lists 503 dependency_unavailable, the last after ${slowest} ms; ready 200; a question beside them ${chat.status} after ${ms} ms, ${charged} charged`;
  },
};

export const PROXY_ROWS: readonly Row[] = [
  DOWN,
  dies('cut'),
  dies('cut after'),
  SLOW,
  NEW_PRIMARY,
  EXHAUSTED,
  FULL,
  NO_NAME,
  SLOW_NAME,
];
