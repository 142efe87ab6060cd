import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { directive } from '@tollgate/test-kit';
import type { Browser, Page } from 'playwright-core';
import { resetFakes } from '../fixtures/asking.ts';
import { askIn, openPage, saidIn, startBrowser, startPages, storedIn } from '../fixtures/chat-window.ts';
import { type Person, type Proxy, startProxy, until } from '../fixtures/proxy.ts';

let proxy: Proxy;
let pages: Awaited<ReturnType<typeof startPages>>;
let browser: Browser;
let alice: Person;
beforeAll(async () => {
  browser = await startBrowser();
  [proxy, pages] = await Promise.all([startProxy(), startPages()]);
  alice = await proxy.person({ balance: 100_000 });
  for (const { id } of proxy.flowise.flows())
    await proxy.admin.call('PATCH', `/api/v1/admin/chatflows/${id}`, { allowed_origins: [pages.origin] });
});
afterAll(async () => {
  await browser?.close();
  await Promise.all([pages?.close(), proxy?.stop()]);
});
beforeEach(() => resetFakes(proxy));
// Holds of refused answers are closed when nobody waits for it any more.
afterEach(() => until(() => proxy.accounting.openHolds() === 0));

let count = 0;
/** A chat window for somebody, in a browser of their own. */
async function open(person: Person, chatflowId: string): Promise<Page> {
  const url = pages.add(`/window-${(count += 1)}`, { apiHost: proxy.url, chatflowId, token: person.token });
  return openPage(browser, url);
}
const untilSaid = (page: Page, isSo: (said: string[]) => boolean) => until(async () => isSo(await saidIn(page)));
const lastOf = (said: string[]) => said.at(-1) ?? '';

describe('flowise-embed, unmodified, in a page of another origin that the chatflow lists', () => {
  it('holds a conversation and has it again after a reload', async () => {
    const { id } = proxy.flowise.chain;
    const page = await open(alice, id);
    proxy.flowise.next(
      { tokens: ['Credits are held ', 'while an answer runs', '.'] },
      { tokens: ['What was ', 'not used is released.'] },
    );
    await askIn(page, 'What is a hold on credits?');
    await until(async () => (await storedIn(page, id)) === 3);
    await askIn(page, 'And then?');
    await until(async () => (await storedIn(page, id)) === 5);
    const [first, second] = await Promise.all([proxy.flowise.untilCall(0), proxy.flowise.untilCall(1)]);
    expect(second.sessionId).toBe(first.sessionId);

    await page.reload();
    await untilSaid(page, (said) => said.length === 3);
    expect((await saidIn(page)).slice(1).map((text) => text.trim())).toEqual([
      'Credits are held while an answer runs.',
      'What was not used is released.',
    ]);
    await askIn(page, 'Still there?');
    expect((await proxy.flowise.untilCall(2)).sessionId).toBe(first.sessionId);
    await until(() => proxy.accounting.settlements.length === 3);
    expect(await proxy.db.collection('sessions').countDocuments({ user_id: alice.userId })).toBe(1);
    await page.context().close();
  });

  it('tells a user without credits that there are none', async () => {
    const page = await open(await proxy.person({ balance: 0 }), proxy.flowise.chain.id);
    await askIn(page, 'Hello?');
    await untilSaid(page, (said) => lastOf(said).includes('Insufficient credits'));
    expect(proxy.flowise.calls()).toBe(0);
    await page.context().close();
  });

  it('shows the text as it comes, and stops it at the upstream when its user wants that', async () => {
    const page = await open(alice, proxy.flowise.agentflow.id);
    proxy.flowise.next({ tokens: 100_000, tokenDelayMs: 5 });
    await askIn(page, 'Tell me everything');
    await untilSaid(page, (said) => said.length === 2 && lastOf(said).length > 20);
    await page.locator('button[title="Stop"]').click();
    const { chatId } = await proxy.flowise.untilCall(0);
    await proxy.flowise.untilAborted(chatId);
    await until(() => proxy.accounting.openHolds() === 0);
    expect(proxy.accounting.settlements).toMatchObject([{ kind: 'settle', outcome: 'aborted' }]);
    await page.context().close();
  });

  it('shows what was said until a failure, and the reason', async () => {
    const page = await open(alice, proxy.flowise.chain.id);
    await askIn(page, directive({ tokens: ['So ', 'far.', 'never'], errorEvent: { after: 2 } }));
    await untilSaid(page, (said) => lastOf(said).includes('The AI server failed to answer'));
    expect((await saidIn(page)).at(-2)).toContain('So far.');
    await page.context().close();
  });
});
