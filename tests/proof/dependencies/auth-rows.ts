import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { eventually } from '@tollgate/test-kit';
import { isWrite, NOT_PRIMARY, OUT_OF_DISK_SPACE } from './mongo-line.ts';
import type { Row } from './row.ts';
import { assertRefused, call, type Heard, readiness, type Stage, untilReady } from './stage.ts';

const LONGEST_OPERATION_MS = 3000;
/** What a busy machine may add to a limit; the limits themselves are the product's. */
const PATIENCE_MS = 4000;

interface Newcomer {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}
const newcomer = (): Newcomer => {
  const id = randomUUID().slice(0, 13);
  return { username: `late-${id}`, email: `late-${id}@example.test`, password: randomUUID() };
};
const signUp = ({ platform }: Stage, body: Newcomer): Promise<Heard> =>
  call('POST', `${platform.urls.auth}/api/auth/signup`, { body });
const logIn = ({ platform }: Stage, { username, password }: Newcomer): Promise<Heard> =>
  call('POST', `${platform.urls.auth}/api/auth/login`, { body: { username, password } });

/** Signs up, proves the address by the mail that came, and logs in. */
async function joins(stage: Stage, body: Newcomer): Promise<void> {
  assert.equal((await signUp(stage, body)).status, 201, 'the sign-up is repeated with success');
  await provesAndLogsIn(stage, body);
}

async function provesAndLogsIn(stage: Stage, body: Newcomer): Promise<void> {
  const mail = await stage.platform.mails.waitForMail(body.email, undefined, 30_000);
  const token = /verification code: ([0-9a-f]{6})\b/.exec(mail.text)?.[1];
  const verified = await call('POST', `${stage.platform.urls.auth}/api/auth/verify-email`, { body: { token } });
  assert.equal(verified.status, 200, 'the mailed code proves the address');
  assert.equal((await logIn(stage, body)).status, 200, 'the new user logs in');
}

const DOWN: Row = {
  row: 'MongoDB down at start',
  service: 'auth',
  what: 'no connection is taken',
  async play({ platform: { auth, urls }, lines: { authMongo } }) {
    await auth.end('SIGTERM');
    await authMongo.refuse(true);
    await auth.launch();
    await auth.untilAlive();
    const { pid } = auth;
    assert.equal(await readiness(auth), 503);
    assertRefused(await call('POST', `${urls.auth}/api/auth/signup`, { body: newcomer() }), 'dependency_unavailable');
    await authMongo.refuse(false);
    await auth.untilReady();
    assert.equal(auth.pid, pid, 'the same process');
    return 'live 200, ready 503, sign-up 503 dependency_unavailable; ready when it came, same process';
  },
};

const dies = (when: 'cut' | 'cut after', collection: string): Row => ({
  row: 'MongoDB dies mid-request',
  service: 'auth',
  what: `sign-up, ${when === 'cut' ? 'before' : 'after'} the insert into ${collection}`,
  async play(stage) {
    const { lines, mongo } = stage;
    const body = newcomer();
    mongo.auth.meet(when, ({ name, collection: into }) => name === 'insert' && into === collection);
    const answer = signUp(stage, body);
    await eventually(async () => (mongo.auth.met() > 0 ? true : undefined), 'the insert');
    await lines.authMongo.refuse(true);
    lines.authMongo.resetAll();
    const refused = await answer;
    assertRefused(refused, 'dependency_unavailable');
    assert.ok(refused.ms < 2000 + PATIENCE_MS, `answered after ${refused.ms} ms`);
    mongo.auth.meet(undefined);
    await lines.authMongo.refuse(false);
    await untilReady(stage.platform.auth, 200);
    await joins(stage, body);
    return `503 dependency_unavailable after ${refused.ms} ms; the same sign-up succeeds later, with a mail and a login`;
  },
});

const SLOW: Row = {
  row: 'MongoDB slow',
  service: 'auth',
  what: '4 s for each operation',
  async play(stage) {
    const { platform, lines } = stage;
    const person = stage.person();
    lines.authMongo.latency(2000);
    const refused = await logIn(stage, person);
    lines.authMongo.latency(0);
    assertRefused(refused, 'dependency_unavailable');
    assert.ok(refused.ms < LONGEST_OPERATION_MS + PATIENCE_MS, `answered after ${refused.ms} ms`);
    await untilReady(platform.auth, 200);
    assert.equal((await logIn(stage, person)).status, 200);
    return `login 503 dependency_unavailable after ${refused.ms} ms`;
  },
};

const NEW_PRIMARY: Row = {
  row: 'MongoDB primary change',
  service: 'auth',
  what: 'one NotWritablePrimary for a write',
  async play(stage) {
    const body = newcomer();
    let hasFailed = false;
    stage.mongo.auth.meet(NOT_PRIMARY, ({ name, collection }) => {
      const isFirst = !hasFailed && name === 'insert' && collection === 'users';
      hasFailed ||= isFirst;
      return isFirst;
    });
    await joins(stage, body);
    assert.equal(stage.mongo.auth.met(), 1);
    stage.mongo.auth.meet(undefined);
    return 'the sign-up succeeds, after one repetition by the driver';
  },
};

const EXHAUSTED: Row = {
  row: 'Pool exhausted',
  service: 'auth',
  what: 'every connection waits for an answer',
  async play(stage) {
    const { platform, mongo } = stage;
    const person = stage.person();
    mongo.auth.meet('hold', ({ name, collection }) => name === 'find' && collection === 'users');
    const waiting = Array.from({ length: 40 }, () => logIn(stage, person));
    await eventually(async () => (mongo.auth.met() >= 20 ? true : undefined), 'a full pool');
    const ready = await readiness(platform.auth);
    const answers = await Promise.all(waiting);
    mongo.auth.meet(undefined);
    for (const answer of answers) assertRefused(answer, 'dependency_unavailable');
    assert.equal(ready, 200, 'readiness has a connection of its own');
    const slowest = Math.max(...answers.map(({ ms }) => ms));
    assert.ok(slowest < LONGEST_OPERATION_MS + PATIENCE_MS, `answered after ${slowest} ms`);
    await eventually(async () => ((await logIn(stage, person)).status === 200 ? true : undefined), 'a login');
    return `40 logins 503 dependency_unavailable, the last after ${slowest} ms; ready 200`;
  },
};

const FULL: Row = {
  row: 'Disk full',
  service: 'auth',
  what: 'MongoDB refuses every write',
  async play(stage) {
    const { mongo } = stage;
    const person = stage.person();
    const body = newcomer();
    mongo.auth.meet(OUT_OF_DISK_SPACE, isWrite);
    const refused = await signUp(stage, body);
    const read = await person.auth('GET', '/api/profile');
    mongo.auth.meet(undefined);
    assertRefused(refused, 'storage_full');
    assert.equal(read.status, 200, 'reads go on');
    await joins(stage, body);
    return 'sign-up 503 storage_full, reading the own profile 200; the same sign-up succeeds later';
  },
};

/** The answer is what it is, and the mail comes once its server can be spoken to again. */
const mailRow = (what: string, disturb: (stage: Stage) => Promise<() => Promise<void>>): Row => ({
  row: 'SMTP down / slow / garbage',
  service: 'auth',
  what,
  isLong: what.startsWith('slow'),
  async play(stage) {
    const mend = await disturb(stage);
    const body = newcomer();
    const answer = await signUp(stage, body);
    assert.deepEqual([answer.status, Object.keys(answer.body)], [201, ['message', 'userId']]);
    await mend();
    await provesAndLogsIn(stage, body);
    return '201 as ever; the mail comes when its server is back';
  },
});

export const AUTH_ROWS: readonly Row[] = [
  DOWN,
  dies('cut', 'users'),
  dies('cut after', 'users'),
  dies('cut', 'mail_queue'),
  SLOW,
  NEW_PRIMARY,
  EXHAUSTED,
  FULL,
  mailRow('down', async ({ lines: { smtp } }) => {
    await smtp.refuse(true);
    smtp.resetAll();
    return () => smtp.refuse(false);
  }),
  mailRow('slow: a second for each line', async ({ lines: { smtp } }) => {
    smtp.latency(500);
    return async () => undefined;
  }),
];
