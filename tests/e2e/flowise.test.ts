import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { directive, FLOWISE_SECRETS, type Platform, type Scenario, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ chatProxy: { UPSTREAM_FIRST_BYTE_TIMEOUT: '2s', UPSTREAM_IDLE_TIMEOUT: '2s' } });
}, 120_000);
afterAll(() => platform.stop());

// A second, and what a busy machine needs besides; the upstream alone would go on for much longer.
const UPSTREAM_STOP_MS = 3000;

describe('a client that leaves a Flowise answer', () => {
  it('has an agent flow aborted by its abort route within a second and pays for the message', async () => {
    const alice = await platform.user({ credits: 50 });
    const call = platform.flowise.calls();
    const ask = { question: directive({ tokens: 40, hangAfter: 5 }), chatflow_id: platform.chatflows.agentflow };
    const chat = await alice.chat(ask);
    await chat.until('token', 5);
    const { chatId } = await platform.flowise.untilCall(call);
    const left = performance.now();
    chat.hangUp();
    await platform.flowise.untilAborted(chatId);
    expect(performance.now() - left).toBeLessThan(UPSTREAM_STOP_MS);
    expect((await platform.flowise.untilGenerated(call)).generation).toBe('aborted');
    expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ available: 49, held: 0, charged: 1 });
  });

  it('pays nothing before the first token of a chain, and nothing twice', async () => {
    const alice = await platform.user({ credits: 50 });
    const call = platform.flowise.calls();
    const leaving = new AbortController();
    const ask = {
      question: directive({ tokens: 5, firstTokenDelayMs: 20_000 }),
      chatflow_id: platform.chatflows.chain,
    };
    const chat = alice.chat(ask, leaving.signal);
    await platform.flowise.untilCall(call);
    leaving.abort();
    await expect(chat).rejects.toThrow();
    expect((await platform.flowise.untilClosed(call)).by).toBe('client');
    const books = await platform.untilNoOpenHold(alice.userId);
    expect(books).toMatchObject({ available: 50, held: 0, charged: 0, terminalHolds: 1 });
  });
});

describe('a Flowise server', () => {
  const refusals: [string, Scenario, number, string][] = [
    ['answers a failure inside a 200', { errorEvent: { after: 0 } }, 502, 'upstream_failed'],
    ['hides a 401 in a 500', { error: { status: 500, message: 'Unauthorized' } }, 502, 'upstream_failed'],
    ['sends nothing but heartbeats', { hangAfter: 0, heartbeatMs: 100 }, 504, 'upstream_timeout'],
    ['answers with a web page', { html: true }, 502, 'upstream_protocol_error'],
  ];
  it.each(refusals)(
    'that %s before the first token leaves a real status and no charge',
    async (_what, scenario, status, code) => {
      const bob = await platform.user({ credits: 50 });
      const chat = await bob.chat({ question: directive(scenario), chatflow_id: platform.chatflows.chain });
      expect(chat.problem).toMatchObject({ status, code });
      const books = await platform.untilNoOpenHold(bob.userId);
      expect(books).toMatchObject({ available: 50, held: 0, charged: 0, terminalHolds: 1 });
    },
  );

  it('that ends its stream without metadata has not succeeded, whatever its `end` says', async () => {
    const bob = await platform.user({ credits: 50 });
    const ask = { question: directive({ tokens: 3, omit: ['metadata'] }), chatflow_id: platform.chatflows.chain };
    const chat = await (await bob.chat(ask)).toEnd();
    expect(chat.events.map(({ event }) => event)).not.toContain('end');
    expect(chat.data('error')).toMatchObject({ code: 'upstream_interrupted' });
    expect(await platform.untilNoOpenHold(bob.userId)).toMatchObject({ available: 49, held: 0, charged: 1 });
  });

  it('is charged by the true sum when a tool was called, and none of its inner workings reach the user', async () => {
    const carol = await platform.user({ credits: 50 });
    const call = platform.flowise.calls();
    const scenario: Scenario = { tokens: 6, toolCall: { name: 'calculator' } };
    const chat = await (
      await carol.chat({ question: directive(scenario), chatflow_id: platform.chatflows.agentflow })
    ).toEnd();
    const produced = (await platform.flowise.untilGenerated(call)).usage;
    const usage = chat.data<{ input_tokens: number; output_tokens: number; estimated: boolean }>('usage');
    expect(Number(usage?.input_tokens) + Number(usage?.output_tokens)).toBe(produced.input + produced.output);
    const shown = JSON.stringify([chat.events, chat.headers]);
    for (const secret of Object.values(FLOWISE_SECRETS)) expect(shown).not.toContain(secret);
    const { chatId, sessionId } = await platform.flowise.untilCall(call);
    for (const id of [chatId, sessionId]) expect(shown).not.toContain(id);
  });
});
