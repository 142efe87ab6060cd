import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { directive, type Platform, startPlatform } from '@tollgate/test-kit';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(() => platform.stop());

describe('an admin', () => {
  it('who blocks a user ends the answer that is under way, which is charged for what was produced', async () => {
    const alice = await platform.user({ credits: 1000 });
    const question = directive({ tokens: 400, hangAfter: 20 });
    const call = platform.openai.calls();
    const chat = await alice.chat({ question, chatflow_id: platform.chatflows.priced });
    await chat.until('token', 20);
    const blocked = await platform.admin.accounting('PUT', `/api/admin/blocks/user/${alice.userId}`, {
      reason: 'left',
    });
    expect(blocked.status).toBe(200);
    await chat.toEnd();
    expect(chat.data('error')).toMatchObject({ code: 'account_disabled' });
    expect(chat.events.some(({ data }) => data === '[DONE]')).toBe(false);
    expect((await platform.openai.untilClosed(call)).by).toBe('client');
    expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ charged: 20, available: 980, held: 0 });
    // Nothing new begins, before the upstream hears of it.
    const calls = platform.openai.calls();
    const again = await alice.chat({ question: 'Hello?', chatflow_id: platform.chatflows.priced });
    expect(again.status).toBe(403);
    expect(platform.openai.calls()).toBe(calls);
  });

  it('who gives a user a budget has the proxy refuse what is beyond it, and tell until when', async () => {
    const bob = await platform.user({ credits: 1000 });
    const limit = { scope: 'user', subject: bob.userId, measure: 'requests', window: 'month', amount: 1 };
    expect((await platform.admin.accounting('POST', '/api/limits', limit)).status).toBe(201);
    const ask = () => bob.chat({ question: directive({ tokens: 3 }), chatflow_id: platform.chatflows.priced });
    const first = await ask();
    await first.toEnd();
    expect([first.status, (await ask()).status]).toEqual([200, 429]);
    expect(await platform.untilNoOpenHold(bob.userId)).toMatchObject({ charged: 3, held: 0, terminalHolds: 1 });
  });
});
