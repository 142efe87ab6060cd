import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ChaosProxy,
  directive,
  eventually,
  type Person,
  type Platform,
  type PlatformOptions,
  type RunningService,
  startChaosProxy,
  startPlatform,
} from '@tollgate/test-kit';
import { type MongoLine, startMongoLine } from './mongo-line.ts';
import { SLOW_HOST } from './slow-host.ts';

/** A platform of which every way to something else can be disturbed. */
export interface Stage {
  readonly platform: Platform;
  /** TCP lines, by where they lead. */
  readonly lines: Readonly<Record<'authMongo' | 'proxyMongo' | 'postgres' | 'smtp' | 'accounting', ChaosProxy>>;
  /** Behind the lines to MongoDB. */
  readonly mongo: Readonly<Record<'auth' | 'proxy', MongoLine>>;
  /** Somebody with 5,000 credits whom no other row has had; made before the faults begin. */
  person(): Person;
  /** Sets the clock of a service ahead, or back with a negative number. */
  setAhead(service: ServiceKey, milliseconds: number): Promise<void>;
  stop(): Promise<void>;
}

export type ServiceKey = 'auth' | 'accounting' | 'chatProxy';

const LEASE_SECONDS = 20;
const PEOPLE = 36;
/** Of a server whose name is looked for in vain (RFC 6761, section 6.4). */
export const LOST_MODEL = 'lost';
/** Of a server whose name nobody ever answers for. */
export const SLOW_MODEL = 'slow';

export async function setStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-clocks-'));
  const clockOf = (service: ServiceKey) => ({ CLOCK_OFFSET_FILE: join(folder, service) });
  let around: Around | undefined;
  const platform = await startPlatform({
    leaseSeconds: LEASE_SECONDS,
    async reroute(environments) {
      around = await openLines(environments);
      const { auth, accounting, chatProxy } = throughLines(environments, around);
      return {
        auth: { ...auth, ...clockOf('auth') },
        accounting: { ...accounting, ...clockOf('accounting') },
        chatProxy: { ...chatProxy, ...clockOf('chatProxy') },
      };
    },
  });
  if (!around) throw new Error('the platform did not ask for its routes');
  const { lines, mongo } = around;
  for (const [upstream, model] of [
    ['nowhere', LOST_MODEL],
    ['slow', SLOW_MODEL],
  ]) {
    const price = { upstream, model, mode: 'metered', unitPrices: { output: 1_000_000 } };
    assert.ok((await platform.admin.accounting('POST', '/api/pricing', price)).status < 300);
  }
  const people = await Promise.all(Array.from({ length: PEOPLE }, () => platform.user({ credits: 5000 })));
  return {
    platform,
    lines,
    mongo,
    person() {
      const next = people.pop();
      if (!next) throw new Error(`there are only ${PEOPLE} people`);
      return next;
    },
    setAhead: (service, milliseconds) => writeFile(clockOf(service).CLOCK_OFFSET_FILE, String(milliseconds)),
    async stop() {
      await platform.stop();
      await Promise.all([...Object.values(lines), ...Object.values(mongo)].map((line) => line.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type Environments = Parameters<NonNullable<PlatformOptions['reroute']>>[0];
type Around = Pick<Stage, 'lines' | 'mongo'>;

async function openLines({ auth, accounting, chatProxy }: Environments): Promise<Around> {
  const mongoLine = (url = '') => startMongoLine(Number(new URL(url).port));
  const line = (target: string | number = '') => startChaosProxy({ target });
  const mongo = { auth: await mongoLine(auth['MONGODB_URI']), proxy: await mongoLine(chatProxy['MONGODB_URI']) };
  const lines = {
    authMongo: await line(mongo.auth.port),
    proxyMongo: await line(mongo.proxy.port),
    postgres: await line(accounting['DATABASE_URL']),
    smtp: await line(auth['SMTP_URL']),
    accounting: await line(chatProxy['ACCOUNTING_API_URL']),
  };
  return { lines, mongo };
}

function throughLines({ auth, accounting, chatProxy }: Environments, { lines }: Around): Environments {
  const nowhere = { name: 'nowhere', kind: 'openai', baseUrl: 'http://nowhere.invalid/v1', models: [LOST_MODEL] };
  const slow = { name: 'slow', kind: 'openai', baseUrl: `http://${SLOW_HOST}/v1`, models: [SLOW_MODEL] };
  return {
    auth: {
      ...auth,
      SMTP_URL: at(auth['SMTP_URL'], lines.smtp),
      MONGODB_URI: direct(auth['MONGODB_URI'], lines.authMongo),
      MAIL_RETRY_FIRST: '1s',
    },
    accounting: {
      ...accounting,
      DATABASE_URL: at(accounting['DATABASE_URL'], lines.postgres),
      DATABASE_OWNER_URL: at(accounting['DATABASE_OWNER_URL'], lines.postgres),
    },
    chatProxy: {
      ...chatProxy,
      MONGODB_URI: direct(chatProxy['MONGODB_URI'], lines.proxyMongo),
      ACCOUNTING_API_URL: `http://127.0.0.1:${lines.accounting.port}`,
      ACCOUNTING_BREAK_TIME: '100ms',
      NODE_OPTIONS: `--import=${new URL('./slow-names.ts', import.meta.url).href}`,
      UPSTREAMS: JSON.stringify({ servers: [nowhere, slow].map((server) => ({ ...server, public: true })) }),
    },
  };
}

export type LineName = keyof Stage['lines'] | keyof Stage['mongo'];

/** Takes every fault away, also after a row that broke off in the middle. */
export async function heal({ lines, mongo }: Stage, names: readonly LineName[]): Promise<void> {
  for (const name of names) {
    if (name === 'auth' || name === 'proxy') mongo[name].meet(undefined);
    else {
      const line = lines[name];
      line.latency(0);
      line.resetAfter(undefined);
      line.blackhole(false);
      await line.refuse(false);
    }
  }
}

function at(url: string | undefined, { port }: { port: number }): string {
  const moved = new URL(url ?? '');
  moved.port = String(port);
  return moved.href;
}

/** A driver that asks who else belongs to the set would find its way around the line. */
function direct(url: string | undefined, line: { port: number }): string {
  const moved = new URL(at(url, line));
  moved.searchParams.set('directConnection', 'true');
  return moved.href;
}

export interface Heard {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
  readonly ms: number;
}

/** One call with everything of its answer. */
export async function call(
  method: string,
  url: string,
  { token, body }: { token?: string; body?: object } = {},
): Promise<Heard> {
  const began = performance.now();
  const response = await fetch(url, {
    method,
    headers: {
      'idempotency-key': crypto.randomUUID(),
      ...(body && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const ms = Math.round(performance.now() - began);
  return { status: response.status, body: text === '' ? {} : JSON.parse(text), headers: response.headers, ms };
}

/** A short answer at a credit for each of its tokens. */
export const ask = (platform: Platform, person: Person, { tokens = 5, delayMs = 0 } = {}) =>
  person.chat({ question: directive({ tokens, tokenDelayMs: delayMs }), chatflow_id: platform.chatflows.priced });

export async function refusedChat(platform: Platform, person: Person, code: string): Promise<number> {
  const asked = platform.openai.calls();
  const began = performance.now();
  const chat = await ask(platform, person);
  const ms = Math.round(performance.now() - began);
  assert.deepEqual([chat.status, chat.problem?.code], [503, code]);
  assert.ok(Number(chat.headers['retry-after']) > 0, 'a refusal says when to come back');
  assert.equal(platform.openai.calls(), asked, 'nothing is asked of the model');
  return ms;
}

export function assertRefused({ status, body, headers }: Heard, code: string): void {
  assert.deepEqual([status, body['code']], [503, code]);
  assert.ok(Number(headers.get('retry-after')) > 0, 'a refusal says when to come back');
}

/** Nothing of an earlier fault is left in the way. */
export const untilAnswered = (platform: Platform, person: Person): Promise<true> =>
  eventually(async () => {
    const chat = await (await ask(platform, person, { tokens: 1 })).toEnd();
    return chat.status === 200 && chat.events.at(-1)?.event === 'end' ? true : undefined;
  }, 'an answer');

export const readiness = async ({ url }: RunningService): Promise<number> =>
  (await call('GET', `${url}/health/ready`)).status;
export const untilReady = (service: RunningService, wanted: number): Promise<true> =>
  eventually(async () => ((await readiness(service)) === wanted ? true : undefined), `readiness ${wanted}`);
