import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callJson, type Person, type Platform, startPlatform } from '@tollgate/test-kit';
import { found, join } from './stage.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(() => platform.stop());

const newWorkspace = (name: string): Promise<string> => found(platform.admin, name);

const invite = (workspaceId: string, person: Person, role: string) => join(platform, workspaceId, person, role);

const member = async (workspaceId: string, role: string, credits = 0): Promise<Person> => {
  const person = await platform.user({ credits });
  await invite(workspaceId, person, role);
  return person;
};

const PROBES = {
  auth: '/api/profile',
  chatProxy: '/api/v1/chat/sessions',
  accounting: '/api/credits/balance',
} as const;
const SERVICES = Object.keys(PROBES) as (keyof typeof PROBES)[]; // they are its keys

const statusesOf = (token: string, headers: Record<string, string> = {}): Promise<number[]> =>
  Promise.all(
    SERVICES.map(async (service) => {
      const answer = await callJson('GET', platform.urls[service] + PROBES[service], { token, headers });
      return answer.status;
    }),
  );

/** Milliseconds from now until the last service refuses the token. */
async function untilRefused(token: string): Promise<number> {
  const began = performance.now();
  while ((await statusesOf(token)).some((status) => status !== 401)) {
    if (performance.now() - began > 60_000) throw new Error('the token is not refused');
  }
  return performance.now() - began;
}

/** Accounting hears of memberships in its own time. */
async function untilFound(call: () => Promise<{ status: number }>): Promise<{ status: number }> {
  const began = performance.now();
  for (;;) {
    const answer = await call();
    if (answer.status !== 404 || performance.now() - began > 60_000) return answer;
  }
}

describe('one person in two workspaces', () => {
  it('supervises the members of the one, is an end user in the other, and nobody outside of either', async () => {
    const [ours, theirs] = [await newWorkspace('Ours'), await newWorkspace('Theirs')];
    const alice = await member(ours, 'supervisor');
    await invite(theirs, alice, 'enduser');
    const [bob, carol] = [await member(ours, 'enduser'), await member(theirs, 'enduser')];
    const [boss, user] = [await alice.in(ours), await alice.in(theirs)];
    const grant = (by: Person, to: Person) =>
      by.accounting(
        'POST',
        '/api/credits/allocate',
        { userId: to.userId, credits: 7 },
        { 'idempotency-key': randomUUID() },
      );

    expect(await untilFound(() => grant(boss, bob))).toMatchObject({ status: 201 });
    expect(await grant(boss, carol)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await grant(user, carol)).toMatchObject({ status: 403 });
    expect(await grant(user, bob)).toMatchObject({ status: 403 });
    expect([await bob.balance(), await carol.balance()]).toEqual([7, 0]);
    expect((await boss.accounting('GET', `/api/usage/stats/${carol.userId}`)).status).toBe(404);
  });

  it('keeps the conversations of the one out of the other', async () => {
    const [ours, theirs] = [await newWorkspace('Ours'), await newWorkspace('Theirs')];
    const alice = await member(ours, 'enduser', 50);
    await invite(theirs, alice, 'enduser');
    const [here, there] = [await alice.in(ours), await alice.in(theirs)];
    const first = await (
      await here.chat({ question: 'My secret is plum', chatflow_id: platform.chatflows.chain })
    ).toEnd();
    const sessionId = String(first.data('session_id'));
    const calls = platform.flowise.calls();
    for (const elsewhere of [there, alice]) {
      const intrusion = await elsewhere.chat({ question: 'And?', chatflow_id: platform.chatflows.chain, sessionId });
      expect(intrusion.status).toBe(404);
      for (const [method, rest] of [
        ['GET', '/history'],
        ['DELETE', ''],
      ] as const) {
        expect((await elsewhere.chatProxy(method, `/api/v1/chat/sessions/${sessionId}${rest}`)).status).toBe(404);
      }
      const listed = await elsewhere.chatProxy<{ count: number }>('GET', '/api/v1/chat/sessions');
      expect(listed.body.count).toBe(0);
      expect((await elsewhere.chatProxy('DELETE', '/api/v1/chat/history')).status).toBe(200);
    }
    expect(platform.flowise.calls()).toBe(calls);
    const history = await here.chatProxy<{ count: number }>('GET', `/api/v1/chat/sessions/${sessionId}/history`);
    expect([history.status, history.body.count]).toEqual([200, 2]);
    const { rows } = {
      rows: await platform.books.query<{ workspace_id: string }>(
        `SELECT DISTINCT workspace_id FROM usage_logs WHERE user_id = '${alice.userId}'`,
      ),
    };
    expect(rows).toEqual([{ workspace_id: ours }]);
  });

  it('names by X-Workspace-Id only where the token is, on every service', async () => {
    const [ours, foreign] = [await newWorkspace('Ours'), await newWorkspace('Foreign')];
    const inside = await (await member(ours, 'enduser')).in(ours);
    const named = (workspaceId: string) => statusesOf(inside.accessToken, { 'x-workspace-id': workspaceId });
    expect(await named(ours)).toEqual([200, 200, 200]);
    expect(await named(foreign)).toEqual([404, 404, 404]);
    expect(await named(randomUUID())).toEqual([404, 404, 404]);
    // Auth looks the membership up; for the others the header alone opens nothing.
    expect(await named('default')).toEqual([200, 404, 404]);
  });
});

describe('a token of a workspace', () => {
  const deeds: [string, (workspaceId: string, who: Person) => Promise<{ status: number }>][] = [
    ['removal', (id, { userId }) => platform.admin.auth('DELETE', `/api/workspaces/${id}/members/${userId}`)],
    [
      'another role',
      (id, { userId }) => platform.admin.auth('PUT', `/api/workspaces/${id}/members/${userId}`, { role: 'admin' }),
    ],
    ['leaving', (id, who) => who.auth('POST', `/api/workspaces/${id}/leave`)],
    ['a switch', (_id, who) => who.auth('POST', '/api/auth/switch-workspace', { workspaceId: 'default' })],
    ['disabling of the workspace', (id) => platform.admin.auth('POST', `/api/workspaces/${id}/disable`)],
  ];

  it.each(deeds)(
    'is refused on all three services within 5 s of %s; one of another workspace is not',
    async (_name, deed) => {
      const id = await newWorkspace('Ours');
      const alice = await member(id, 'enduser');
      const inside = await alice.in(id);
      expect(await statusesOf(inside.accessToken)).toEqual([200, 200, 200]);
      expect((await deed(id, inside)).status).toBe(200);
      expect(await untilRefused(inside.accessToken)).toBeLessThanOrEqual(5000);
      expect(await statusesOf(alice.accessToken)).toEqual([200, 200, 200]);
    },
  );
});

it('lets clients of the proxy alone in, to the default workspace, or where the account says', async () => {
  const id = await newWorkspace('Ours');
  const { username, password, ...alice } = await member(id, 'enduser');
  const widOf = async () => {
    const { body } = await callJson<{ access_token: string }>(
      'POST',
      `${platform.urls.chatProxy}/api/v1/chat/authenticate`,
      { body: { username, password } },
    );
    return (JSON.parse(Buffer.from(body.access_token.split('.')[1] ?? '', 'base64url').toString()) as { wid: string })
      .wid;
  };
  expect(await widOf()).toBe('default');
  const profile = await callJson('PUT', `${platform.urls.auth}/api/profile`, {
    token: alice.accessToken,
    body: { defaultWorkspaceId: id },
  });
  expect([profile.status, await widOf()]).toEqual([200, id]);
});
