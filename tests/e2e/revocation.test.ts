import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type Answer,
  callJson,
  directive,
  eventually,
  type Person,
  type Platform,
  startPlatform,
} from '@tollgate/test-kit';
import { found, join } from './stage.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(() => platform.stop());

const PROBES = {
  auth: '/api/profile',
  chatProxy: '/api/v1/chat/sessions',
  accounting: '/api/credits/balance',
} as const;
type Service = keyof typeof PROBES;
const SERVICES = Object.keys(PROBES) as Service[]; // they are its keys

const probe = (service: Service, token: string): Promise<Answer> =>
  callJson('GET', platform.urls[service] + PROBES[service], { token });
const lettingIn = async (token: string): Promise<Service[]> => {
  const answers = await Promise.all(SERVICES.map(async (name) => [name, (await probe(name, token)).status] as const));
  return answers.flatMap(([name, status]) => (status === 401 ? [] : [name]));
};

/** Milliseconds from now until the last service refuses the token. */
async function untilRefused(token: string): Promise<number> {
  const began = performance.now();
  await eventually(async () => ((await lettingIn(token)).length === 0 ? true : undefined), 'the token to be refused');
  return performance.now() - began;
}

const admin = (method: string, path: string, body?: unknown): Promise<Answer> =>
  platform.admin.auth(method, `/api/admin/users/${path}`, body);

type Deed = (alice: Person) => Promise<Answer>;
const DEEDS: [string, Deed][] = [
  ['a logout', (alice) => alice.auth('POST', '/api/auth/logout', { refreshToken: alice.refreshToken })],
  ['a logout from everywhere', (alice) => alice.auth('POST', '/api/auth/logout-all')],
  ['the end of the session in the list', endInList],
  ['a new role', ({ userId }) => admin('PUT', `${userId}/role`, { role: 'supervisor' })],
  ['a lock', ({ userId }) => admin('POST', `${userId}/lock`)],
  ['disabling', ({ userId }) => admin('PUT', `${userId}/status`, { status: 'disabled' })],
  ['a sign-out by an administrator', ({ userId }) => admin('POST', `${userId}/sign-out`)],
  ['deletion', ({ userId }) => admin('DELETE', userId)],
];

async function endInList(alice: Person): Promise<Answer> {
  const { body } = await alice.auth<{ sessions: { id: string }[] }>('GET', '/api/sessions');
  return alice.auth('DELETE', `/api/sessions/${body.sessions[0]?.id}`);
}

describe('an access token', () => {
  /** What becomes of a token, all at the same time: most of it is waiting. */
  const stories = new Map<string, Awaited<ReturnType<typeof storyOf>>>();
  async function storyOf(deed: Deed) {
    const alice = await platform.user({ credits: 0, assign: false });
    const before = await lettingIn(alice.accessToken);
    const { status } = await deed(alice);
    const ms = await untilRefused(alice.accessToken);
    const refresh = await alice.auth('POST', '/api/auth/refresh', { refreshToken: alice.refreshToken });
    return { before, status, ms, refresh: refresh.status };
  }
  beforeAll(async () => {
    await Promise.all(DEEDS.map(async ([name, deed]) => stories.set(name, await storyOf(deed))));
  }, 120_000);

  it.each(DEEDS)('is refused on all three services within 5 s of %s', (name) => {
    const story = stories.get(name);
    expect(story).toMatchObject({ before: SERVICES, status: 200, refresh: 401 });
    expect(story?.ms).toBeLessThanOrEqual(5000);
  });

  it('of another session is refused within 5 s of a new password, and that of the same one goes on', async () => {
    const alice = await platform.user({ credits: 0, assign: false });
    const { accessToken: elsewhere } = alice;
    await alice.logIn();
    const change = { currentPassword: alice.password, newPassword: `${alice.password}-anew` };
    expect((await alice.auth('POST', '/api/change-password', change)).status).toBe(200);
    expect(await untilRefused(elsewhere)).toBeLessThanOrEqual(5000);
    expect(await lettingIn(alice.accessToken)).toEqual(SERVICES);
  });

  it('is refused within 5 s of the theft of its refresh token, the thief’s like the owner’s', async () => {
    const alice = await platform.user({ credits: 0, assign: false });
    const refresh = async (refreshToken: string) =>
      (
        await callJson<{ accessToken: string; refreshToken: string }>(
          'POST',
          `${platform.urls.auth}/api/auth/refresh`,
          {
            body: { refreshToken },
          },
        )
      ).body;
    const thief = await refresh(alice.refreshToken);
    const further = await refresh(thief.refreshToken);
    expect(await lettingIn(further.accessToken)).toEqual(SERVICES);
    await refresh(alice.refreshToken);
    for (const { accessToken } of [further, thief, alice])
      expect(await untilRefused(accessToken)).toBeLessThanOrEqual(5000);
    await platform.mails.waitForMail(alice.email, ({ subject }) => subject === 'A session was ended');
  });
});

describe('an answer under way', () => {
  it.each([
    ['a logout', 'access_revoked', DEEDS[0]?.[1]],
    ['disabling', 'account_disabled', DEEDS[5]?.[1]],
  ] as const)('ends within 10 s of %s with an error event, and is settled', async (_name, code, deed) => {
    const alice = await platform.user({ credits: 1000 });
    const question = directive({ tokens: 400, hangAfter: 20 });
    const call = platform.openai.calls();
    const chat = await alice.chat({ question, chatflow_id: platform.chatflows.priced });
    await chat.until('token', 20);
    await deed?.(alice);
    const began = performance.now();
    await chat.toEnd();
    expect(performance.now() - began).toBeLessThanOrEqual(10_000);
    expect(chat.data('error')).toMatchObject({ code });
    expect(chat.events.some(({ data }) => data === '[DONE]')).toBe(false);
    expect((await platform.openai.untilClosed(call)).by).toBe('client');
    expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ charged: 20, available: 980, held: 0 });
  });
});

describe('an answer under way in a workspace', () => {
  it.each([
    [
      'the removal of its asker',
      'access_revoked',
      (id: string, { userId }: Person) => platform.admin.auth('DELETE', `/api/workspaces/${id}/members/${userId}`),
    ],
    [
      'the disabling of the workspace',
      'workspace_disabled',
      (id: string) => platform.admin.auth('POST', `/api/workspaces/${id}/disable`),
    ],
  ] as const)('ends within 10 s of %s with an error event, and is settled', async (_name, code, deed) => {
    const alice = await platform.user({ credits: 50_000 });
    const id = await found(platform.admin, 'Ours');
    await join(platform, id, alice, 'enduser');
    const inside = await alice.in(id);
    const chatflow_id = platform.chatflows.priced;
    const chat = await inside.chat({ question: directive({ tokens: 400, hangAfter: 20 }), chatflow_id });
    const elsewhere = await alice.chat({ question: directive({ tokens: 40, tokenDelayMs: 100 }), chatflow_id });
    await chat.until('token', 20);
    expect((await deed(id, alice)).status).toBe(200);
    const began = performance.now();
    await chat.toEnd();
    expect(performance.now() - began).toBeLessThanOrEqual(10_000);
    expect(chat.data('error')).toMatchObject({ code });
    expect(chat.events.some(({ data }) => data === '[DONE]')).toBe(false);
    await elsewhere.toEnd();
    expect([elsewhere.data('error'), elsewhere.events.at(-1)?.event]).toEqual([undefined, 'end']);
    expect(await platform.untilNoOpenHold(alice.userId)).toMatchObject({ charged: 60, available: 49_940, held: 0 });
  });
});

describe('while auth is away', () => {
  const ageAt = async (url: string): Promise<number> => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return Number(/^tollgate_revocations_age_seconds\S* (\S+)$/m.exec(metrics)?.[1]);
  };

  it('tokens go on working on the other services, revoked ones stay refused, and its silence can be seen', async () => {
    const [alice, bob] = await Promise.all([0, 1].map(() => platform.user({ credits: 0, assign: false })));
    if (!alice || !bob) throw new Error('nobody is there');
    await bob.auth('POST', '/api/auth/logout-all');
    // By every instance, which hears of it by itself.
    for (const service of ['chatProxy', 'accounting'] as const) {
      for (const url of platform[service].instances) {
        const refusal = () => callJson('GET', url + PROBES[service], { token: bob.accessToken });
        await eventually(async () => ((await refusal()).status === 401 ? true : undefined), `${url} to refuse it`);
      }
    }
    await platform.auth.end('SIGKILL');
    for (const url of [platform.urls.chatProxy, platform.urls.accounting]) while (!((await ageAt(url)) > 3));
    for (const service of ['chatProxy', 'accounting'] as const) {
      expect((await probe(service, alice.accessToken)).status).toBe(200);
      expect((await probe(service, bob.accessToken)).status).toBe(401);
    }
    await platform.auth.start();
    for (const url of [platform.urls.chatProxy, platform.urls.accounting]) while (!((await ageAt(url)) < 3));
    await alice.auth('POST', '/api/auth/logout-all');
    expect(await untilRefused(alice.accessToken)).toBeLessThanOrEqual(5000);
  });
});
