import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { KEY_SCOPES, PERMISSIONS } from '@tollgate/contracts';
import {
  type CollectedSpan,
  directive,
  eventually,
  type Person,
  type Platform,
  type RunningService,
  startPlatform,
  startTraceCollector,
  type TraceCollector,
} from '@tollgate/test-kit';

/** Starting a service again takes what the machine takes. */
const LONG = 120_000;

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

let platform: Platform;
let collector: TraceCollector;
let alice: Person;
let key: string;
beforeAll(async () => {
  collector = await startTraceCollector();
  // What an operator has without asking for more.
  const watched = { LOG_LEVEL: 'info', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  platform = await startPlatform({ auth: watched, accounting: watched, chatProxy: watched });
  alice = await platform.user({ credits: 100_000 });
  await takeNewKey();
}, LONG);
afterAll(async () => {
  await platform.stop();
  await collector.stop();
});

const SCOPES = KEY_SCOPES.filter((scope) => (PERMISSIONS[scope] as readonly string[]).includes('enduser'));

/** One that the services have not asked auth about yet. */
async function takeNewKey(): Promise<void> {
  const wanted = { name: 'ci', scopes: SCOPES, currentPassword: alice.password };
  key = (await alice.auth<{ key: string }>('POST', '/api/api-keys', wanted)).body.key;
}

/** Asks with a key, so that auth is asked as well. */
async function ask(headers: Record<string, string>, scenario: Parameters<typeof directive>[0] = { tokens: 3 }) {
  const response = await fetch(`${platform.urls.chatProxy}/api/v1/chat/predict/stream`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ question: directive(scenario), chatflow_id: platform.chatflows.priced }),
  });
  return { response, text: () => response.text() };
}

type Line = Record<string, unknown>;

const linesOf = ({ log }: RunningService, requestId: string): Line[] =>
  log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line['requestId'] === requestId);

/** The facts that a service has logged of a request, in their order. */
const told = (service: RunningService, requestId: string): string[] =>
  linesOf(service, requestId).map(({ message, route }) => [message, route].filter(Boolean).join(' '));

const bookings = (requestId: string) =>
  platform.books.query<{ type: string }>('SELECT type FROM credit_transactions WHERE request_id = $1 ORDER BY id', [
    requestId,
  ]);

const settled = (requestId: string) =>
  eventually(async () => {
    const types = (await bookings(requestId)).map(({ type }) => type);
    return types.includes('settle') ? types : undefined;
  }, `the settlement of ${requestId}`);

describe('one request id', () => {
  it('leads from the client through the logs of all services to the ledger', async () => {
    const { response, text } = await ask({ 'x-request-id': 'asked-by-alice-1' });
    expect([response.status, response.headers.get('x-request-id')]).toEqual([200, 'asked-by-alice-1']);
    await text();
    expect(await settled('asked-by-alice-1')).toEqual(['hold', 'settle']);
    const { auth, chatProxy, accounting } = platform;
    const all = await eventually(async () => {
      const lines = [chatProxy, accounting, auth].map((service) => told(service, 'asked-by-alice-1').sort());
      return lines[0]?.length === 3 && lines[1]?.length === 2 ? lines : undefined;
    }, 'the lines of the request');
    expect(all).toEqual([
      ['answered /api/v1/chat/predict/stream', 'chat_finished', 'hold_closed'],
      ['answered /api/holds', 'answered /api/holds/:holdId/settle'],
      // Asked by the proxy, and by accounting, which judges by itself who pays.
      Array(2).fill('answered /api/internal/api-keys/verify'),
    ]);
  });

  it('of an answer whose client goes leads to no failure: nothing has failed', async () => {
    const { response } = await ask({ 'x-request-id': 'asked-and-left-1' }, { tokens: 50, tokenDelayMs: 50 });
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect(await settled('asked-and-left-1')).toEqual(['hold', 'settle']);
    const lines = await eventually(async () => {
      const found = linesOf(platform.chatProxy, 'asked-and-left-1');
      return found.some(({ message }) => message === 'chat_finished') ? found : undefined;
    }, 'the lines of the request');
    const said = lines.map(({ level, message, outcome, code }) => ({ level, message, outcome, code }));
    const finished = { level: 'info', message: 'chat_finished', outcome: 'aborted', code: undefined };
    expect(said).toContainEqual(finished);
    expect(said.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('leads on to the event that the charge has caused, which is what receivers of webhooks get', async () => {
    const bob = await platform.user({ credits: 1000 });
    const response = await fetch(`${platform.urls.chatProxy}/api/v1/chat/predict/stream`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${bob.accessToken}`,
        'content-type': 'application/json',
        'x-request-id': 'asked-by-bob-1',
      },
      body: JSON.stringify({ question: directive({ tokens: 900 }), chatflow_id: platform.chatflows.priced }),
    });
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('end')]);
    await settled('asked-by-bob-1');
    const events = await platform.books.query<{ type: string; id: string | null }>(
      "SELECT type, payload ->> 'requestId' AS id FROM outbox WHERE user_id = $1",
      [bob.userId],
    );
    expect(events).toEqual([{ type: 'credits.low', id: 'asked-by-bob-1' }]);
  });

  it(
    'leads to what is settled later, when accounting has come back',
    async () => {
      const { accounting } = platform;
      const { response } = await ask({ 'x-request-id': 'asked-by-alice-2' }, { tokens: 3, endDelayMs: 600_000 });
      expect(response.status).toBe(200);
      await accounting.end('SIGKILL');
      await response.body?.cancel();
      await eventually(
        async () => told(platform.chatProxy, 'asked-by-alice-2').includes('hold_left_over') || undefined,
        'the hold to be left over',
      );
      await accounting.start();
      expect(await settled('asked-by-alice-2')).toEqual(['hold', 'settle']);
      await eventually(
        async () => told(platform.chatProxy, 'asked-by-alice-2').includes('hold_closed') || undefined,
        'the line of the settlement',
      );
      await eventually(
        async () => told(accounting, 'asked-by-alice-2').length > 1 || undefined,
        "accounting's line of the settlement",
      );
      expect(told(accounting, 'asked-by-alice-2')).toContain('answered /api/holds/:holdId/settle');
    },
    LONG,
  );

  it('leads from a refusal to why it was refused', async () => {
    const bob = await platform.user({ credits: 0, assign: false });
    const { response, text } = await ask({
      authorization: `Bearer ${bob.accessToken}`,
      'x-request-id': 'asked-by-bob',
    });
    expect([response.status, JSON.parse(await text())]).toMatchObject([403, { requestId: 'asked-by-bob' }]);
    const lines = await eventually(async () => {
      const found = linesOf(platform.chatProxy, 'asked-by-bob');
      return found.length > 0 ? found : undefined;
    }, 'its line');
    expect(lines).toMatchObject([
      { message: 'answered', status: 403, code: 'chatflow_access_denied', userId: bob.userId },
    ]);
  });
});

describe('a trace', () => {
  const parentOf = (spans: readonly CollectedSpan[], { parentSpanId }: CollectedSpan) =>
    spans.find(({ spanId }) => spanId === parentSpanId);
  const named = (spans: readonly CollectedSpan[], service: string, name: string) =>
    spans.find((span) => span.service === `tollgate-${service}` && span.name === name);

  it('that a client has begun goes on through all three services, with the time to the first token', async () => {
    await takeNewKey();
    const { text, response } = await ask({ traceparent: `00-${TRACE}-00f067aa0ba902b7-01` });
    expect(response.headers.get('x-request-id')).toBe(TRACE);
    await text();
    await settled(TRACE);
    const asked = 'POST /api/internal/api-keys/verify';
    const wanted = ['settleHold', 'holdCredits', 'ask upstream', 'POST /api/holds/:holdId/settle'];
    const all = await collector.until((spans) => {
      const here = spans.filter(({ traceId }) => traceId === TRACE).map(({ name }) => name);
      const isWhole = wanted.every((name) => here.includes(name)) && here.filter((name) => name === asked).length === 2;
      return isWhole && here.some((name) => name.startsWith('POST /api/v1/chat'));
    });
    const spans = all.filter(({ traceId }) => traceId === TRACE);
    const root = named(spans, 'chat-proxy', 'POST /api/v1/chat/predict/stream');
    expect(root).toMatchObject({ parentSpanId: '00f067aa0ba902b7', failed: false });
    expect(root?.fields).toMatchObject({ 'tollgate.request_id': TRACE, 'http.route': '/api/v1/chat/predict/stream' });
    const databases = spans.filter(({ name }) => name === 'postgres' || name === 'mongodb');
    expect(new Set(databases.map(({ service }) => service))).toEqual(
      new Set(['tollgate-accounting', 'tollgate-auth', 'tollgate-chat-proxy']),
    );
    expect(databases.map(({ fields }) => fields['db.operation.name'])).toContain('ledger.open_holds');
    const steps = spans
      .filter((span) => !databases.includes(span))
      .filter(({ service, parentSpanId }) => service !== 'tollgate-chat-proxy' || parentSpanId === root?.spanId)
      .map((span) => {
        const { name, service } = parentOf(spans, span) ?? { name: '', service: '' };
        return `${span.service}: ${span.name} < ${service}: ${name}`.replaceAll('tollgate-', '');
      });
    const door = 'chat-proxy: POST /api/v1/chat/predict/stream';
    expect(steps.toSorted()).toEqual([
      'accounting: POST /api/holds < chat-proxy: holdCredits',
      'accounting: POST /api/holds/:holdId/settle < chat-proxy: settleHold',
      'accounting: verifyApiKey < accounting: POST /api/holds',
      'auth: POST /api/internal/api-keys/verify < accounting: verifyApiKey',
      'auth: POST /api/internal/api-keys/verify < chat-proxy: verifyApiKey',
      `chat-proxy: ask upstream < ${door}`,
      `chat-proxy: holdCredits < ${door}`,
      `chat-proxy: settleHold < ${door}`,
      `chat-proxy: verifyApiKey < ${door}`,
    ]);
    const upstream = named(spans, 'chat-proxy', 'ask upstream');
    expect(upstream?.fields).toMatchObject({
      'tollgate.upstream': 'openai',
      'tollgate.first_token_ms': expect.anything(),
    });
  });

  it('tells which step has failed, by its code alone', async () => {
    const other = TRACE.replaceAll('4', '5');
    const { response, text } = await ask(
      { traceparent: `00-${other}-00f067aa0ba902b7-01` },
      { error: { status: 500, message: 'a secret of the upstream' } },
    );
    expect(response.status).toBe(502);
    await text();
    const all = await collector.until((spans) =>
      spans.some(({ traceId, name }) => traceId === other && name.startsWith('POST /api/v1')),
    );
    const failed = all.filter((span) => span.traceId === other && span.failed);
    expect(new Set(failed.map(({ name, fields }) => `${name}: ${String(fields['error.type'])}`))).toEqual(
      new Set(['POST /api/v1/chat/predict/stream: upstream_failed', 'ask upstream: upstream_failed']),
    );
    expect(collector.raw).not.toContain('a secret of the upstream');
  });

  it(
    "is nobody's concern while its collector is dead",
    async () => {
      await collector.stop();
      for (let n = 0; n < 20; n += 1) {
        const { response, text } = await ask({ 'x-request-id': `asked-in-the-dark-${n}` });
        expect(response.status).toBe(200);
        await text();
      }
      await settled('asked-in-the-dark-19');
      expect(await platform.chatProxy.end('SIGTERM')).toBe(0);
      expect(platform.chatProxy.log).not.toMatch(/unhandled|uncaught/i);
    },
    LONG,
  );
});
