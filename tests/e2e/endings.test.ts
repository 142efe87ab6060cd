import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { directive, type Person, type Platform, type Scenario, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ chatProxy: { UPSTREAM_FIRST_BYTE_TIMEOUT: '2s', UPSTREAM_IDLE_TIMEOUT: '2s' } });
}, 120_000);
afterAll(() => platform.stop());

/** The books once nothing is held any more. */
const settled = (person: Person) => platform.untilNoOpenHold(person.userId);
// A second, and what a busy machine needs besides; the upstream alone would go on for much longer.
const UPSTREAM_STOP_MS = 3000;

describe('a client that leaves', () => {
  it('before the first byte pays nothing and the upstream is stopped within a second', async () => {
    const alice = await platform.user({ credits: 50 });
    const call = platform.openai.calls();
    const leaving = new AbortController();
    const chat = alice.chat(
      { question: directive({ tokens: 20, firstByteDelayMs: 20_000 }), chatflow_id: platform.chatflows.model },
      leaving.signal,
    );
    await platform.openai.untilCall(call);
    const left = performance.now();
    leaving.abort();
    await expect(chat).rejects.toThrow();
    const { by } = await platform.openai.untilClosed(call);
    expect(by).toBe('client');
    expect(performance.now() - left).toBeLessThan(UPSTREAM_STOP_MS);
    expect(await settled(alice)).toMatchObject({ available: 50, held: 0, charged: 0, terminalHolds: 1 });
  });

  it.each([
    ['after the first token', 1],
    ['in the middle', 20],
    ['one token before the end', 39],
  ])(
    'case 35: %s pays once, for what was produced, and the upstream is stopped within a second',
    async (_when, tokens) => {
      const alice = await platform.user({ credits: 1000 });
      const call = platform.openai.calls();
      const chat = await alice.chat({
        question: directive({ tokens: 40, hangAfter: tokens }),
        chatflow_id: platform.chatflows.priced,
      });
      await chat.until('token', tokens);
      await platform.openai.untilCall(call);
      const left = performance.now();
      chat.hangUp();
      const { by } = await platform.openai.untilClosed(call);
      expect(by).toBe('client');
      expect(performance.now() - left).toBeLessThan(UPSTREAM_STOP_MS);
      const books = await settled(alice);
      expect(books).toMatchObject({ held: 0, openHolds: 0, terminalHolds: 1 });
      // The model costs one credit per output token and nothing for input, so the charge counts tokens.
      expect(books.charged).toBe(tokens);
      expect(books.available).toBe(1000 - tokens);
      const { body } = await alice.accounting<{ totalRecords: number; totalCredits: number }>(
        'GET',
        '/api/usage/stats',
      );
      expect(body).toMatchObject({ totalRecords: 1, totalCredits: tokens });
    },
  );
});

describe('an upstream', () => {
  it.each([
    ['refuses', { error: { status: 500 } }, 502, 'upstream_failed'],
    ['limits us', { error: { status: 429 } }, 429, 'rate_limited'],
    ['hangs without a byte', { hang: true }, 504, 'upstream_timeout'],
    ['answers an error event inside a 200', { errorEvent: { after: 0 } }, 502, 'upstream_failed'],
  ])('that %s before the first token leaves a real status and no charge', async (_what, scenario, status, code) => {
    const bob = await platform.user({ credits: 50 });
    const chat = await bob.chat({ question: directive(scenario), chatflow_id: platform.chatflows.model });
    expect(chat.problem).toMatchObject({ status, code });
    expect(await settled(bob)).toMatchObject({ available: 50, held: 0, charged: 0, terminalHolds: 1 });
  });

  const breaks: [string, Scenario, string][] = [
    ['resets', { tokens: 30, resetAfter: 7 }, 'upstream_interrupted'],
    ['goes silent', { tokens: 30, hangAfter: 7 }, 'upstream_timeout'],
    ['sends an error event', { tokens: 30, errorEvent: { after: 7 } }, 'upstream_failed'],
    ['closes without a finish', { tokens: 7, omit: ['finish', 'done'] }, 'upstream_interrupted'],
  ];
  it.each(breaks)(
    'that %s in the middle ends in an error event, never in `end`, and the tokens so far are paid',
    async (_what, scenario, code) => {
      const bob = await platform.user({ credits: 1000 });
      const chat = await (
        await bob.chat({ question: directive(scenario), chatflow_id: platform.chatflows.priced })
      ).toEnd();
      expect(chat.status).toBe(200);
      expect(chat.data('error')).toMatchObject({ code });
      expect(chat.events.map(({ event }) => event)).not.toContain('end');
      expect(await settled(bob)).toMatchObject({ available: 993, held: 0, charged: 7, terminalHolds: 1 });
      const sessionId = String(chat.data('session_id'));
      const { body } = await bob.chatProxy<{ history: { status?: string }[] }>(
        'GET',
        `/api/v1/chat/sessions/${sessionId}/history`,
      );
      expect(body.history.at(-1)).toMatchObject({ role: 'assistant', status: 'failed', content: chat.text });
    },
  );
});
