import assert from 'node:assert/strict';
import { eventually } from '@tollgate/test-kit';
import type { Row } from './row.ts';
import { ask, call, type ServiceKey, type Stage, untilAnswered } from './stage.ts';

const AUTH_AWAY: Row = {
  row: 'auth service down',
  service: 'chat-proxy',
  what: 'killed',
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    await platform.auth.end('SIGKILL');
    const chat = await (await ask(platform, person)).toEnd();
    const { username, password } = person;
    const login = await person.chatProxy('POST', '/api/v1/chat/authenticate', { username, password });
    const assigned = await platform.admin.chatProxy('POST', '/api/v1/admin/chatflows/sync');
    const metrics = await fetch(`${platform.urls.chatProxy}/metrics`).then((response) => response.text());
    await platform.auth.start();
    assert.deepEqual([chat.status, chat.events.at(-1)?.event], [200, 'end']);
    assert.equal(login.status, 503);
    assert.match(metrics, /^tollgate_revocations_age_seconds(?:\{[^}]*\})? [\d.]+$/m);
    return `answers go on, a login is 503, a synchronisation ${assigned.status}; the age of revocations is a metric`;
  },
};

const FAR_MS = 120_000;
/** Less than the tolerance of 30 s, with time for a slow machine to use the token. */
const NEAR_MS = 10_000;

const TOKENS: Row = {
  row: 'Clock skew +/- 120 s between services',
  service: 'auth',
  what: 'auth is ahead',
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    const balanceWith = async (ahead: number): Promise<number[]> => {
      await stage.setAhead('auth', ahead);
      const token = await freshToken(stage, person, ahead);
      const urls = [
        `${platform.urls.accounting}/api/credits/balance`,
        `${platform.urls.chatProxy}/api/v1/chat/sessions`,
      ];
      return Promise.all(urls.map(async (url) => (await call('GET', url, { token })).status));
    };
    const near = await balanceWith(NEAR_MS);
    const far = await balanceWith(FAR_MS);
    await stage.setAhead('auth', 0);
    assert.deepEqual(
      [near, far],
      [
        [200, 200],
        [401, 401],
      ],
    );
    return 'by 10 s: its new tokens are taken; by 120 s: 401';
  },
};

/** A token whose time shows that the new clock is in use. */
async function freshToken(
  { platform }: Stage,
  { username, password }: { username: string; password: string },
  ahead: number,
): Promise<string> {
  return eventually(async () => {
    const body = { username, password };
    const { body: answer } = await call('POST', `${platform.urls.auth}/api/auth/login`, { body });
    const token = String(answer['accessToken']);
    const { iat } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { iat: number };
    return Math.abs(iat * 1000 - Date.now() - ahead) < NEAR_MS / 2 ? token : undefined;
  }, 'a token of the new time');
}

const held = (service: ServiceKey, ahead: number): Row => ({
  row: 'Clock skew +/- 120 s between services',
  service: service === 'accounting' ? 'accounting' : 'chat-proxy',
  what: `${service === 'accounting' ? 'accounting' : 'the proxy'} is ${Math.abs(ahead) / 1000} s ${ahead > 0 ? 'ahead' : 'behind'} in the middle of an answer`,
  isLong: service === 'chatProxy' && ahead < 0,
  async play(stage) {
    const { platform } = stage;
    const person = stage.person();
    await stage.setAhead(service, 0);
    await untilAnswered(platform, stage.person());
    const chat = await ask(platform, person, { tokens: 10, delayMs: 100 });
    await chat.until('token', 2);
    await stage.setAhead(service, ahead);
    await chat.until('token', 6);
    const { openHolds } = await platform.books.ofUser(person.userId);
    await chat.toEnd();
    const other = await (await ask(platform, person, { tokens: 1 })).toEnd();
    await stage.setAhead(service, 0);
    assert.equal(chat.events.at(-1)?.event, 'end');
    assert.equal(openHolds, 1, 'no hold ends by the clock of a service');
    // A proxy that is behind takes no token that its user was given just now; every other refusal is nobody's token's fault.
    const isBehind = service === 'chatProxy' && ahead < 0 && other.status === 401;
    if (other.status !== 200 && !isBehind)
      assert.deepEqual([other.status, other.problem?.code], [503, 'accounting_unavailable']);
    const paid = 10 + (other.status === 200 ? 1 : 0);
    assert.equal((await platform.untilCharged(person.userId, paid)).held, 0);
    return `the hold stays, the answer ends and is paid once; a new one is ${other.status}`;
  },
});

export const NEIGHBOUR_ROWS: readonly Row[] = [
  AUTH_AWAY,
  TOKENS,
  held('chatProxy', FAR_MS),
  held('chatProxy', -FAR_MS),
  held('accounting', FAR_MS),
  held('accounting', -FAR_MS),
];
