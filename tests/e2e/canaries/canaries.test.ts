import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  eventually,
  examplePath,
  type Person,
  type Platform,
  startPlatform,
  startTraceCollector,
  type TraceCollector,
} from '@tollgate/test-kit';
import { directive } from '@tollgate/test-kit';
import type { OperationSpec } from '@tollgate/contracts';
import { operationsOf } from '../../../scripts/house-rules/operations.ts';
import { CONTRACTS } from '../../../scripts/openapi.ts';
import { DOORS } from '../../proof/doors.ts';
import { CanaryBook } from './canary-book.ts';
import { besideQuestions, FAILURES } from './canary-questions.ts';

/** Every door of three services is tried, and services are killed. */
const LONG = 300_000;

let platform: Platform;
let collector: TraceCollector;
let alice: Person;
let root: Person;
beforeAll(async () => {
  collector = await startTraceCollector();
  const talkative = { LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  platform = await startPlatform({ auth: talkative, accounting: talkative, chatProxy: talkative });
  alice = await platform.user({ credits: 1_000_000 });
  root = platform.admin;
}, LONG);
afterAll(async () => {
  await platform.stop();
  await collector.stop();
});

const book = new CanaryBook();
const canary = (what: string): string => book.of(what);
const NAME = 'name of a field';

/** Bodies of errors, whoever gave them. */
let refusals = '';

async function send(url: string, init: RequestInit): Promise<void> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(60_000) });
  const text = await response.text();
  if (response.status >= 400) refusals += `${[...response.headers].flat().join(' ')} ${text}\n`;
}

/** A canary in every header that somebody may send, and in the address. */
const headersOf = (authorization: string): Record<string, string> => ({
  authorization,
  cookie: `session=${canary('cookie')}; accessToken=${canary('cookietoken')}`,
  referer: `https://app.example.test/?token=${canary('referer')}`,
  'x-request-id': `!${canary('request id')}`,
  traceparent: canary('traceparent'),
  tracestate: `vendor=${canary('tracestate')}`,
  baggage: `user=${canary('baggage')}`,
  'x-forwarded-for': canary('forwarded'),
  'x-custom-secret': canary('custom header'),
});

/** A canary under every name that the contract knows, and under names that it does not. */
function bodyOf({ body }: OperationSpec): Record<string, unknown> {
  const shape: unknown = Object(body).shape ?? {};
  const names = Object.keys(Object(shape));
  const secrets = ['password', 'token', 'apiKey', 'otp', 'code', 'question', 'cardNumber', 'cvc', canary(NAME)];
  return Object.fromEntries([...names, ...secrets].map((name) => [name, canary(`field ${name}`)]));
}

/** These end the access of whoever tries the others. */
const LAST = new Set(['logOutAll', 'logOut', 'deleteOwnAccount']);

async function tryOperation(origin: string, operation: OperationSpec): Promise<void> {
  const { method, path } = operation;
  const hasBody = method !== 'GET' && method !== 'DELETE';
  const post = (place: string, authorization: string, body: string) =>
    send(origin + place, {
      method,
      headers: {
        ...headersOf(authorization),
        'idempotency-key': canary('idempotency key'),
        ...(hasBody && { 'content-type': 'application/json' }),
      },
      ...(hasBody && { body }),
    });
  const hidden = path.replaceAll(/:\w+/g, () => canary('path'));
  const query = `?secret=${canary('query')}&token=${canary('query token')}`;
  const broken = `{"password":"${canary('broken JSON')}","question":"${canary('broken prompt')}`;
  await Promise.all([
    post(hidden + query, `Bearer ${canary('bearer')}`, broken),
    post(examplePath(operation), `Bearer ${root.accessToken}`, JSON.stringify(bodyOf(operation))),
    ...(hasBody ? [post(hidden, `Bearer ${root.accessToken}`, broken)] : []),
  ]);
}

async function askEverything(person: Person): Promise<void> {
  const flows = [platform.chatflows.agentflow, platform.chatflows.priced];
  for (const [n, door] of DOORS.entries()) {
    const chatflowId = flows[n % flows.length] ?? '';
    const questions = FAILURES.map((fails) => {
      const words = canary('prompt');
      return door.ask(platform, person, { text: `${words} ${book.card()} ${directive(fails(words))}`, chatflowId });
    });
    for (const { code } of await Promise.all(questions)) refusals += `${code ?? ''}\n`;
  }
}

async function askWithAttachments(): Promise<void> {
  const headers = { authorization: `Bearer ${alice.accessToken}`, 'content-type': 'application/json' };
  for (const [path, body] of besideQuestions(book, alice, platform.chatflows.agentflow))
    await send(platform.urls.chatProxy + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** The same while what is needed is dead: what is logged then has causes, and causes have requests in them. */
async function askInTheDark(): Promise<void> {
  const { accounting, auth } = platform;
  const asking = (authorization: string) =>
    send(`${platform.urls.chatProxy}/api/v1/chat/predict`, {
      method: 'POST',
      headers: { ...headersOf(authorization), 'content-type': 'application/json' },
      body: JSON.stringify({
        chatflow_id: platform.chatflows.priced,
        question: `${canary('prompt in the dark')} ${directive({ tokens: 1 })}`,
      }),
    });
  await accounting.end('SIGKILL');
  await Promise.all([1, 2, 3].map(() => asking(`Bearer ${book.note('access token', alice.accessToken)}`)));
  await accounting.start();
  await auth.end('SIGKILL');
  await asking(`Bearer tg_live_${canary('key in the dark')}`);
  for (const origin of [platform.urls.accounting, platform.urls.chatProxy])
    await send(`${origin}/api/v1/chat/credits`, { headers: { 'x-api-key': `tg_live_${canary('key in the dark')}` } });
  await send(`${platform.urls.chatProxy}/api/v1/chat/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: alice.username, password: canary('password in the dark') }),
  });
  await auth.start();
}

const LAST_TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

/** Spans come in the order in which they ended: behind those of a last request nothing is on its way. */
async function untilTraced(origins: readonly string[]): Promise<void> {
  const headers = { traceparent: `00-${LAST_TRACE}-00f067aa0ba902b7-01` };
  await eventually(async () => {
    await Promise.all(origins.map((origin) => send(`${origin}/nobody/asks/for/this`, { headers })));
    const last = collector.spans.filter(({ traceId }) => traceId === LAST_TRACE).map(({ service }) => service);
    return new Set(last).size === origins.length ? true : undefined;
  }, 'the spans of the last requests');
}

/** What somebody calls a field is told to themselves, so that they can mend it; nobody else learns it. */
const mayHave = (what: string, sink: string): boolean => what === NAME && sink === 'errors';

it('is found by its name wherever it was let out', () => {
  const leaked = new CanaryBook();
  const [word, number] = [leaked.of('word'), leaked.card()];
  leaked.note('token', 'made.else-where');
  const encoded = Buffer.from(`xy${word}`).toString('base64');
  const sinks = {
    log: `a ${word} b`,
    trace: `c${number}`,
    metrics: encoded,
    errors: 'Bearer made.else-where',
    books: 'none',
  };
  const found = leaked.leaksIn(sinks, () => false).map((leak) => leak.split(':')[0]);
  expect(found).toEqual(['word in log', 'card in trace', expect.stringMatching(/ in metrics$/), 'token in errors']);
});

it(
  'lets nothing secret and nothing that people wrote into a log, a metric, a trace, an error or the books',
  async () => {
    for (const [service, contract] of Object.entries(CONTRACTS)) {
      const origin =
        { auth: platform.urls.auth, accounting: platform.urls.accounting }[service] ?? platform.urls.chatProxy;
      const operations = operationsOf(contract)
        .map(([, operation]) => operation)
        .filter(({ id }) => !LAST.has(id));
      for (const operation of operations) await tryOperation(origin, operation);
    }
    await askEverything(alice);
    await askWithAttachments();
    await askInTheDark();
    await platform.untilNoOpenHold(alice.userId);

    const { auth, accounting, chatProxy, urls } = platform;
    const metrics = async (origin: string) => (await fetch(`${origin}/metrics`)).text();
    await untilTraced(Object.values(urls));
    const tables = await platform.books.query<{ name: string }>(
      `SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
    );
    const rows = await Promise.all(
      tables.map(({ name }) => platform.books.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)),
    );
    const sinks = {
      'log of auth': auth.log,
      'log of accounting': accounting.log,
      'log of chat-proxy': chatProxy.log,
      metrics: (await Promise.all(Object.values(urls).map(metrics))).join('\n'),
      traces: collector.raw,
      errors: refusals,
      books: rows
        .flat()
        .map(({ row }) => row)
        .join('\n'),
    };
    for (const code of ['upstream_failed', 'upstream_protocol_error', 'upstream_interrupted', 'accounting_unavailable'])
      expect(refusals).toContain(code);
    for (const text of Object.values(sinks)) expect(text.length).toBeGreaterThan(1000);
    expect(book.size).toBeGreaterThan(1000);
    expect(book.leaksIn(sinks, mayHave).slice(0, 20)).toEqual([]);
  },
  LONG,
);
