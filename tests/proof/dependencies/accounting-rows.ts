import assert from 'node:assert/strict';
import { eventually, type Person } from '@tollgate/test-kit';
import type { Row } from './row.ts';
import {
  ask,
  assertRefused,
  call,
  type Heard,
  readiness,
  refusedChat,
  type Stage,
  untilAnswered,
  untilReady,
} from './stage.ts';

const LIMIT_MS = 2000;
/** What a busy machine may add to a limit; the limits themselves are the product's. */
const PATIENCE_MS = 4000;
const inTime = (ms: number, limit = LIMIT_MS): void => assert.ok(ms < limit + PATIENCE_MS, `answered after ${ms} ms`);

const allocate = ({ platform }: Stage, { userId }: Person, credits = 1): Promise<Heard> =>
  call('POST', `${platform.urls.accounting}/api/credits/allocate`, {
    token: platform.admin.accessToken,
    body: { userId, credits },
  });
const balanceOf = ({ platform }: Stage, { accessToken: token }: Person): Promise<Heard> =>
  call('GET', `${platform.urls.accounting}/api/credits/balance`, { token });

async function untilPostgres(stage: Stage, person: Person): Promise<void> {
  await untilReady(stage.platform.accounting, 200);
  await untilAnswered(stage.platform, person);
}

const DOWN: Row = {
  row: 'PostgreSQL down at start',
  service: 'accounting',
  what: 'no connection is taken',
  async play(stage) {
    const { platform, lines } = stage;
    const person = stage.person();
    await platform.accounting.end('SIGTERM');
    await lines.postgres.refuse(true);
    await platform.accounting.launch();
    await platform.accounting.untilAlive();
    const { pid } = platform.accounting;
    assert.equal(await readiness(platform.accounting), 503);
    await refusedChat(platform, person, 'accounting_unavailable');
    await lines.postgres.refuse(false);
    await platform.accounting.untilReady();
    assert.equal(platform.accounting.pid, pid, 'the same process');
    await untilAnswered(platform, person);
    return 'live 200, ready 503, answers 503 accounting_unavailable; ready when it came, same process';
  },
};

/** The server ends the session, right after it has written the hold. */
const DIES_AT_HOLD: Row = {
  row: 'PostgreSQL dies between hold insert and reply',
  service: 'accounting',
  what: 'before the commit, at every try',
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    await onWrite(stage, 'streaming_sessions', 'PERFORM pg_terminate_backend(pg_backend_pid())', async () => {
      inTime(await refusedChat(platform, person, 'accounting_unavailable'));
    });
    const books = await platform.books.ofUser(person.userId);
    assert.deepEqual([books.available, books.held, books.openHolds], [5000, 0, 0]);
    await untilPostgres(stage, person);
    return '503 accounting_unavailable, no hold, no call of the model';
  },
};

const LOST_REPLY: Row = {
  row: 'PostgreSQL dies between hold insert and reply',
  service: 'chat-proxy',
  what: 'after the commit: the reply to the hold is lost once',
  async play(stage) {
    const {
      platform,
      lines: { accounting },
    } = stage;
    const person = stage.person();
    accounting.resetAfter(1);
    const asked = ask(platform, person);
    await eventually(async () => ((await platform.books.openHolds()) > 0 ? true : undefined), 'the hold');
    accounting.resetAfter(undefined);
    const chat = await (await asked).toEnd();
    if (chat.status === 200) {
      await platform.untilCharged(person.userId, 5);
      return 'the same hold is given again, and the answer comes';
    }
    // Both tries were over before the line was mended: the hold that nobody has heard of is voided.
    assert.deepEqual([chat.status, chat.problem?.code], [503, 'accounting_unavailable']);
    await platform.untilNoOpenHold(person.userId);
    return '503 accounting_unavailable, and the hold that nobody has heard of is voided';
  },
};

const SILENT: Row = {
  row: 'PostgreSQL slow / lock wait',
  service: 'chat-proxy',
  what: 'accounting takes requests and never answers',
  isLong: true,
  async play(stage) {
    const {
      platform,
      lines: { accounting },
    } = stage;
    const person = stage.person();
    accounting.blackhole(true);
    const ms = await refusedChat(platform, person, 'accounting_unavailable');
    accounting.blackhole(false);
    accounting.resetAll();
    inTime(ms);
    await untilAnswered(platform, person);
    await platform.untilNoOpenHold(person.userId);
    return `503 accounting_unavailable after ${ms} ms, no hold is left`;
  },
};

const DIES_AT_SETTLE: Row = {
  row: 'PostgreSQL dies at settle',
  service: 'accounting',
  what: 'while an answer runs',
  async play(stage) {
    const { platform, lines } = stage;
    const person = stage.person();
    const chat = await ask(platform, person, { tokens: 8, delayMs: 50 });
    await chat.until('token', 2);
    await lines.postgres.refuse(true);
    lines.postgres.resetAll();
    await chat.toEnd();
    assert.equal(chat.events.at(-1)?.event, 'end', 'the client is served');
    await lines.postgres.refuse(false);
    const began = performance.now();
    const books = await platform.untilCharged(person.userId, 8);
    const seconds = Math.round((performance.now() - began) / 1000);
    assert.deepEqual([books.available, books.held, books.terminalHolds], [4992, 0, 1]);
    await untilPostgres(stage, person);
    return `the answer ends as ever; settled once, ${seconds} s after it was back`;
  },
};

const SLOW: Row = {
  row: 'PostgreSQL slow / lock wait',
  service: 'accounting',
  what: '5 s for each statement',
  isLong: true,
  async play(stage) {
    const { platform, lines } = stage;
    const person = stage.person();
    lines.postgres.latency(2500);
    const [ms, refused] = await Promise.all([
      refusedChat(platform, person, 'accounting_unavailable'),
      allocate(stage, person),
    ]);
    lines.postgres.latency(0);
    inTime(ms);
    assertRefused(refused, 'dependency_unavailable');
    inTime(refused.ms, 3000);
    await platform.untilNoOpenHold(person.userId).catch(() => undefined);
    await untilPostgres(stage, person);
    assert.equal((await platform.books.ofUser(person.userId)).held, 0, 'no hold is left without an owner');
    return `answers 503 accounting_unavailable after ${ms} ms, a grant 503 after ${refused.ms} ms, no hold is left`;
  },
};

const LOCKED: Row = {
  row: 'PostgreSQL slow / lock wait',
  service: 'accounting',
  what: 'somebody keeps the lock of the account',
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    const ms = await whileLocked(stage, `SELECT FROM user_accounts WHERE id = '${person.userId}' FOR UPDATE`, () =>
      refusedChat(platform, person, 'accounting_unavailable'),
    );
    inTime(ms);
    await untilAnswered(platform, person);
    await eventually(
      async () => ((await platform.books.ofUser(person.userId)).held === 0 ? true : undefined),
      'no hold to be left without an owner',
    );
    return `503 accounting_unavailable after ${ms} ms, no hold is left`;
  },
};

const EXHAUSTED: Row = {
  row: 'Pool exhausted',
  service: 'accounting',
  what: 'every connection waits for a lock',
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    const [answers, ready] = await whileLocked(stage, 'LOCK TABLE credit_allocations', async () => {
      const waiting = Array.from({ length: 40 }, () => allocate(stage, person));
      const readies = [await readiness(platform.accounting), await readiness(platform.accounting)];
      return [await Promise.all(waiting), readies] as const;
    });
    for (const answer of answers) assertRefused(answer, 'dependency_unavailable');
    assert.deepEqual(ready, [200, 200], 'readiness has a connection of its own');
    const slowest = Math.max(...answers.map(({ ms }) => ms));
    inTime(slowest, 3000);
    assert.equal((await platform.books.ofUser(person.userId)).available, 5000, 'nothing was applied');
    await untilAnswered(platform, person);
    return `40 grants 503 dependency_unavailable, the last after ${slowest} ms; ready 200, nothing applied`;
  },
};

const FULL: Row = {
  row: 'Disk full',
  service: 'accounting',
  what: 'PostgreSQL has no space for an entry of the ledger',
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    const running = await ask(platform, person, { tokens: 6, delayMs: 50 });
    await running.until('token');
    const full = `RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'`;
    const seen = await onWrite(stage, 'credit_entries', full, async () => {
      const refused = await allocate(stage, person);
      const ms = await refusedChat(platform, person, 'accounting_unavailable');
      const balance = await balanceOf(stage, person);
      await running.toEnd();
      return { refused, ms, balance };
    });
    assertRefused(seen.refused, 'storage_full');
    assert.equal(seen.balance.status, 200, 'reads go on');
    assert.equal(running.events.at(-1)?.event, 'end', 'a running answer ends');
    const books = await platform.untilCharged(person.userId, 6);
    assert.deepEqual([books.available, books.held], [4994, 0]);
    assert.equal(await platform.books.sumOfAllEntries(), 0);
    return 'a grant 503 storage_full, answers 503 accounting_unavailable, the balance 200; the running answer is paid later';
  },
};

/** While every write to a table does this. */
async function onWrite<T>(
  { platform: { books } }: Stage,
  table: string,
  act: string,
  work: () => Promise<T>,
): Promise<T> {
  await books.query(`CREATE OR REPLACE FUNCTION play_fault() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN ${act}; RETURN NULL; END $$`);
  await books.query(`CREATE TRIGGER zz_fault AFTER INSERT ON ${table} EXECUTE FUNCTION play_fault()`);
  try {
    return await work();
  } finally {
    await books.query(`DROP TRIGGER zz_fault ON ${table}`);
  }
}

/** While somebody else's transaction keeps a lock. */
async function whileLocked<T>({ platform: { books } }: Stage, statement: string, work: () => Promise<T>): Promise<T> {
  const done = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = books.transaction(async (query) => {
    await query(statement);
    locked.resolve();
    await done.promise;
  });
  await Promise.race([locked.promise, holding]);
  try {
    return await work();
  } finally {
    done.resolve();
    await holding;
  }
}

export const ACCOUNTING_ROWS: readonly Row[] = [
  DOWN,
  DIES_AT_HOLD,
  LOST_REPLY,
  SILENT,
  DIES_AT_SETTLE,
  SLOW,
  LOCKED,
  EXHAUSTED,
  FULL,
];
